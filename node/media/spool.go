// SPDX-License-Identifier: Apache-2.0

package media

import (
	"io"
	"os"
)

// memorySize is the largest file that is kept in memory; longer ones go to an
// unlinked file in the temporary directory.
const memorySize = 32 << 20

// A spool keeps the bytes of one file for its decoder. It has no name that
// another process could open. A failure to keep them is remembered, so that
// the exact hashes are computed all the same.
type spool struct {
	dir  string
	file *os.File
	size int64
	disk bool
	err  error
}

func (s *spool) write(p []byte) {
	if s.err == nil && s.file == nil {
		s.open()
	}
	if s.err == nil && !s.disk && s.size+int64(len(p)) > memorySize {
		s.toDisk()
	}
	if s.err == nil {
		_, s.err = s.file.Write(p)
		s.size += int64(len(p))
	}
}

func (s *spool) open() {
	if s.file, s.err = memoryFile(); s.err == nil {
		return
	}
	s.file, s.err = unlinkedFile(s.dir)
	s.disk = true
}

// toDisk moves what was kept so far.
func (s *spool) toDisk() {
	mem := s.file
	defer mem.Close()
	if s.file, s.err = unlinkedFile(s.dir); s.err == nil {
		_, s.err = io.Copy(s.file, io.NewSectionReader(mem, 0, s.size))
	}
	s.disk = true
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// unlinkedFile opens a private file that is gone once it is closed. Where an
// open file cannot be removed (Windows) the system cleans its directory.
func unlinkedFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "tocsin-media-*")
	if err == nil {
		os.Remove(f.Name())
	}
	return f, err
}
