// SPDX-License-Identifier: Apache-2.0

package governance

import "github.com/tocsin-db/tocsin/spec"

// What a quota counts beside the kinds of operations.
const (
	quotaUrgent  byte = 0xfe
	quotaOutside byte = 0xff
)

const dayMS = 24 * 3600 * 1000

// quota counts one more against what the signer may open in a day of log time; a
// limit of 0 is none.
func quota(v *view, what byte, limit uint64) error {
	if limit == 0 {
		return nil
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	id := v.who.Organisation.ID
	key := spec.QuotaKey(id, what)
	var q spec.QuotaRecord
	if _, err := load(v, key, &q); err != nil {
		return err
	}
	if today := clock.TimeMS / dayMS; q.Day != today {
		q = spec.QuotaRecord{Day: today}
	}
	if q.Count >= limit {
		return spec.Errorf(spec.CodeQuota, "%s opened the %d cases of this sort that the policy allows in a day", id, limit)
	}
	q.Count++
	return v.put(key, &q)
}
