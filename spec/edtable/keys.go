// SPDX-License-Identifier: Apache-2.0

package edtable

import (
	"crypto/ed25519"
	"sync"
)

// Keys are those of which signatures come again and again, so few that their tables
// stay within bounds. Any number of goroutines may use them.
type Keys struct {
	Max int // how many, from 1 on

	mu    sync.Mutex
	known map[[ed25519.PublicKeySize]byte]*Key
}

// Of returns a key. When there are too many another one is forgotten, which costs time
// and nothing else.
func (k *Keys) Of(public [ed25519.PublicKeySize]byte) *Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.known[public]; key != nil {
		return key
	}
	if k.known == nil {
		k.known = map[[ed25519.PublicKeySize]byte]*Key{}
	}
	for other := range k.known {
		if len(k.known) < k.Max {
			break
		}
		delete(k.known, other)
	}
	key := New(public[:])
	k.known[public] = key
	return key
}
