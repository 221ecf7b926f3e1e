// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/spec"
)

// keyCosignature is the type of keys that cosign (C2SP tlog-cosignature).
const keyCosignature = 0x04

// verifierKey writes a witness's key as stock tools take it.
func verifierKey(name string, key ed25519.PublicKey) (vkey string, hash uint32, err error) {
	typed := append([]byte{keyCosignature}, key...)
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	vkey = fmt.Sprintf("%s+%08x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(typed))
	if _, err := fnote.NewVerifierForCosignatureV1(vkey); err != nil || strings.ContainsAny(name, "+ \n") {
		return "", 0, spec.Errorf(spec.CodeConfig, "%q cannot be the name of a witness", name)
	}
	return vkey, binary.BigEndian.Uint32(sum[:]), nil
}

// An Address is where an outside witness is asked, and by what its answers are
// verified.
type Address struct {
	Verifier note.Verifier
	URL      string // of add-checkpoint
}

// ParseAddress reads "<verifier key> <URL>".
func ParseAddress(s string) (Address, error) {
	bad := spec.Errorf(spec.CodeConfig, "a witness is written as its verifier key, a blank and its URL")
	key, base, ok := strings.Cut(s, " ")
	if !ok {
		return Address{}, bad
	}
	v, err := fnote.NewVerifierForCosignatureV1(key)
	if err != nil {
		return Address{}, bad
	}
	u, err := url.Parse(strings.TrimSpace(base))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return Address{}, bad
	}
	return Address{v, u.JoinPath("add-checkpoint").String()}, nil
}
