// SPDX-License-Identifier: Apache-2.0

package spec

// A Dispute claims that an entry, or some of its signals, should not be listed.
type Dispute struct {
	_       struct{} `cbor:",toarray"`
	Entry   Hash
	Reason  string
	Text    []byte   // salted hash, or empty
	Signals []uint64 // numbers inside the entry, ascending; none: the whole entry
	Freeze  bool     // suspend what is disputed at once; for members where the policy allows it
}

// Kind implements Body.
func (*Dispute) Kind() uint64 { return KindDispute }

// TextHashes implements Body.
func (d *Dispute) TextHashes() [][]byte { return [][]byte{d.Text} }

// Check implements Body.
func (d *Dispute) Check() error {
	if err := checkReason(d.Reason); err != nil {
		return err
	}
	if err := checkNumbers("disputed signals", d.Signals, MaxSignals); err != nil {
		return err
	}
	return checkTextHashes(d.Text)
}

// A Withdraw ends an open case of the signing organisation.
type Withdraw struct {
	_      struct{} `cbor:",toarray"`
	Case   Hash
	Reason string
	Text   []byte // salted hash, or empty
}

// Kind implements Body.
func (*Withdraw) Kind() uint64 { return KindWithdraw }

// TextHashes implements Body.
func (w *Withdraw) TextHashes() [][]byte { return [][]byte{w.Text} }

// Check implements Body.
func (w *Withdraw) Check() error {
	if err := checkReason(w.Reason); err != nil {
		return err
	}
	return checkTextHashes(w.Text)
}
