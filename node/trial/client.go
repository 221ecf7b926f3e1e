// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// matchJSON is what is read of an answer to a lookup.
type matchJSON struct {
	Verdict string `json:"verdict"`
	Matches []struct {
		Entry    string `json:"entry"`
		Distance int    `json:"distance"`
	} `json:"matches"`
	Truncated bool `json:"truncated"`
}

// match looks signals up as any program beside the node would.
func (c *socketClient) match(ctx context.Context, signals ...signalJSON) (*matchJSON, error) {
	body, err := json.Marshal(map[string]any{"signals": signals})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://node/v1/match", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", resp.StatusCode, b)
	}
	a := new(matchJSON)
	return a, json.Unmarshal(b, a)
}
