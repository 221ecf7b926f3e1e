// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-db/tocsin/node/trial"
)

// TestFurther has two consortia of two members each, north and west, and a node that
// joins both.
func TestFurther(t *testing.T) {
	vars := map[string]string{}
	for _, name := range []string{"north", "west"} {
		dir, err := os.MkdirTemp("", "tocsin") // a socket's path is short
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, err := trial.Found(ctx, trial.Options{Dir: dir, Name: name, Members: 2, Logger: quiet(), Fatal: func(who string, err error) {
			t.Errorf("the node of %s in %s failed: %v", who, name, err)
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		for i, m := range c.Members {
			vars[name+[]string{"A", "B"}[i]] = m.Dir
		}
	}
	testscript.Run(t, params("testdata/further", func(env *testscript.Env) error {
		for name, dir := range vars {
			env.Setenv(name, dir)
		}
		dir, err := os.MkdirTemp("", "tocsin")
		if err != nil {
			return err
		}
		env.Defer(func() { os.RemoveAll(dir) })
		env.Setenv("MINE", dir+"/mine")
		return setup(env)
	}))
}
