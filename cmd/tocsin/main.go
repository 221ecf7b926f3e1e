// SPDX-License-Identifier: Apache-2.0

// Command tocsin runs a node of a shared database of hashes and speaks to it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tocsin-db/tocsin/node/media"
)

func main() {
	media.RunChild()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // the second signal ends the process at once
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
