// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"strconv"
)

// RunChild serves requests and ends the process when the program was started
// as a child; otherwise it returns at once.
func RunChild(h Handler) {
	if len(os.Args) != 3 || os.Args[1] != childArg {
		return
	}
	if err := serve(h); err != nil {
		fmt.Fprintln(os.Stderr, "media child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve gives up what the child does not need, then answers until the parent
// closes its end.
func serve(h Handler) error {
	memory, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("reading the memory limit: %w", err)
	}
	conn, err := fileConn(3)
	if err != nil {
		return err
	}
	if err := confine(memory); err != nil {
		return err
	}
	for {
		req, file, err := receiveFile(conn)
		if err != nil {
			return nil // the parent is gone, or never meant to ask
		}
		answer := h(req, file)
		file.Close()
		if err := send(conn, answer, nil); err != nil {
			return nil
		}
	}
}
