// SPDX-License-Identifier: Apache-2.0

package weburl

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/tocsin-db/tocsin/spec"
)

// An Expression is a host and a path under which addresses are listed. Ending
// in "/" it covers every address below it, and every host below its own.
type Expression string

// Sum is the value of the expression's signal.
func (e Expression) Sum() [32]byte { return sha256.Sum256([]byte(e)) }

// Value is Sum as canonical text: 64 lower-case hex digits.
func (e Expression) Value() string { sum := e.Sum(); return hex.EncodeToString(sum[:]) }

// Numbers of hosts and paths that a lookup tries, as in Safe Browsing.
const (
	maxLabels      = 5 // of a host above the address's own
	maxFolders     = 4 // the root among them
	MaxExpressions = 30
)

// Expressions returns what a lookup of the address must try, at most
// MaxExpressions, in the order of Safe Browsing's examples, none twice.
func (u URL) Expressions() []Expression {
	hosts, paths := u.hosts(), u.paths()
	all := make([]Expression, 0, len(hosts)*len(paths))
	for _, h := range hosts {
		for _, p := range paths {
			all = append(all, Expression(h+p))
		}
	}
	return all
}

// hosts returns the host and up to four above it, from its last five labels
// down to its last two. An IP address has none above it.
func (u URL) hosts() []string {
	hosts := []string{u.Host}
	if u.IP {
		return hosts
	}
	labels := strings.Split(u.Host, ".")
	for i := max(1, len(labels)-maxLabels); i < len(labels)-1; i++ {
		hosts = append(hosts, strings.Join(labels[i:], "."))
	}
	return hosts
}

// paths returns the path with and without its query and the folders above it:
// the root and up to three below.
func (u URL) paths() []string {
	paths := []string{u.pathAndQuery(), u.Path}
	folders := u.folders()
	return unique(append(paths, folders[:min(len(folders), maxFolders)]...))
}

// folders returns every prefix of the path that ends in a slash, "/" first.
func (u URL) folders() []string {
	var all []string
	for i := range len(u.Path) {
		if u.Path[i] == '/' {
			all = append(all, u.Path[:i+1])
		}
	}
	return all
}

func unique(s []string) []string {
	var kept []string
	for _, v := range s {
		if !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// A Scope says how much a listing of an address covers.
type Scope string

// Page covers the address itself, with its query if it has one. Folder covers
// all below the folder that it lies in. Host covers its host and all hosts
// below that.
const (
	Page   Scope = "page"
	Folder Scope = "folder"
	Host   Scope = "host"
)

// List returns the expression that lists the address with that scope. It
// refuses with spec.CodeSignal what lookups would not find (a folder deeper
// than three) and what would cover other people's sites (a host under which
// the public registers names, like co.uk or github.io).
func (u URL) List(scope Scope) (Expression, error) {
	switch folders := u.folders(); {
	case scope == Page:
		return Expression(u.Host + u.pathAndQuery()), nil
	case scope != Folder && scope != Host:
		return "", spec.Errorf(spec.CodeUsage, "the scopes of an address are page, folder and host")
	case scope == Folder && len(folders) > maxFolders:
		return "", spec.Errorf(spec.CodeSignal, "a listed folder lies at most %d deep", maxFolders-1)
	case scope == Folder && len(folders) > 1:
		return Expression(u.Host + folders[len(folders)-1]), nil
	}
	if u.publicSuffix() {
		return "", spec.Errorf(spec.CodeSignal, "the public registers names under this host: it cannot be listed whole")
	}
	return Expression(u.Host + "/"), nil
}

func (u URL) publicSuffix() bool {
	if u.IP {
		return false
	}
	suffix, _ := publicsuffix.PublicSuffix(u.Host)
	return suffix == u.Host
}

// Check refuses a value of type url that is not written as Value writes it.
func Check(value string) error { return checkHex(value, sha256.Size) }

// CheckMD5 refuses a value of type url_md5 that is not written as MD5 writes it.
func CheckMD5(value string) error { return checkHex(value, md5.Size) }

func checkHex(value string, size int) error {
	if b, err := hex.DecodeString(value); err != nil || len(b) != size || value != strings.ToLower(value) {
		return spec.Errorf(spec.CodeSignal, "an address is listed as %d lower-case hex digits", 2*size)
	}
	return nil
}
