// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
)

const keysDir = "keys"

// keyNames are the files under keys/, in the order of keySet.
var keyNames = [3]string{"op", "cosign", "libp2p"}

// A keySet is the keys of one organisation in the order of keyNames.
type keySet [3]ed25519.PrivateKey

func newKeys(rand io.Reader) (keySet, error) {
	var keys keySet
	for i := range keys {
		_, key, err := ed25519.GenerateKey(rand)
		if err != nil {
			return keys, fmt.Errorf("making a key: %w", err)
		}
		keys[i] = key
	}
	return keys, nil
}

// save writes the keys into a directory of their own and moves it into place, so
// that there are three keys or none. It fails with fs.ErrExist rather than
// replace keys.
func (k keySet) save(dir string) error {
	tmp, err := os.MkdirTemp(dir, "."+keysDir+".*") // mode 0700
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for i, name := range keyNames {
		der, err := x509.MarshalPKCS8PrivateKey(k[i])
		if err != nil {
			return err
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if err := durable.Replace(filepath.Join(tmp, name), block, 0o600); err != nil {
			return err
		}
	}
	return durable.Rename(tmp, filepath.Join(dir, keysDir)) // a directory never replaces one that holds files
}

// loadKeys fails with fs.ErrNotExist when there are none.
func loadKeys(dir string) (keySet, error) {
	var keys keySet
	d, err := os.Open(filepath.Join(dir, keysDir))
	if err != nil {
		return keys, err
	}
	defer d.Close()
	if err := private(d); err != nil {
		return keys, err
	}
	for i, name := range keyNames {
		if keys[i], err = loadKey(filepath.Join(dir, keysDir, name)); err != nil {
			return keys, err
		}
	}
	return keys, nil
}

func loadKey(path string) (ed25519.PrivateKey, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, spec.Errorf(spec.CodeCorrupt, "the key file %s is missing", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := private(f); err != nil {
		return nil, err
	}
	data, err := readBounded(f)
	if err != nil {
		return nil, err
	}
	key, ok := parseKey(data)
	if !ok {
		return nil, spec.Errorf(spec.CodeCorrupt, "%s holds no Ed25519 key in PKCS #8 and PEM", path)
	}
	return key, nil
}

func parseKey(data []byte) (ed25519.PrivateKey, bool) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) != 0 {
		return nil, false
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, false
	}
	key, ok := any.(ed25519.PrivateKey)
	return key, ok
}

func publicKey(key ed25519.PrivateKey) spec.PublicKey {
	return spec.PublicKey(key.Public().(ed25519.PublicKey))
}
