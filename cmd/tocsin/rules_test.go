// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-db/tocsin/node/trial"
)

// TestRules runs what the rules allow beside additions against a consortium of its
// own, because it changes who and what the consortium is.
func TestRules(t *testing.T) { onConsortium(t, "testdata/rules") }

// onConsortium runs the scripts of a folder against three members.
func onConsortium(t *testing.T, scripts string, tune ...func(*trial.Options)) {
	par, _ := onTrial(t, scripts, tune...)
	testscript.Run(t, par)
}

// onTrial is onConsortium before the scripts run.
func onTrial(t *testing.T, scripts string, tune ...func(*trial.Options)) (testscript.Params, *trial.Consortium) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tocsin") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	opts := trial.Options{Dir: dir, Members: 3, Logger: quiet(), Fatal: func(who string, err error) {
		t.Errorf("the node of %s failed: %v", who, err)
	}}
	for _, set := range tune {
		set(&opts)
	}
	c, err := trial.Found(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return params(scripts, func(env *testscript.Env) error {
		for _, m := range c.Members {
			env.Setenv(strings.ToUpper(m.ID), m.Dir)
		}
		return setup(env)
	}), c
}

// TestLists proposes lists.
func TestLists(t *testing.T) { onConsortium(t, "testdata/lists") }

// TestReports asks how fast the consortium is.
func TestReports(t *testing.T) { onConsortium(t, "testdata/reports") }

// TestBlast has members that remember what was looked up.
func TestBlast(t *testing.T) {
	onConsortium(t, "testdata/blast", func(o *trial.Options) { o.Sightings = 7 })
}

// TestRefer has an authority beside the members.
func TestRefer(t *testing.T) { onConsortium(t, "testdata/refer") }
