// Command openclaw-ir answers an incident on a host that runs OpenClaw: it seals the evidence and tells what the
// agent executed and wrote.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
)

func main() {
	// A small host that is in trouble must not be starved by the tool that looks at it.
	debug.SetGCPercent(50)
	// SIGHUP too: an SSH session that drops must leave a bundle that is closed and sealed, not a cut one.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A reader that goes away, such as head, must neither end what is half done nor keep the custody log from being told: a write
	// fails, and the command ends as for any other error.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	streams := console.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	e := env{console: console.New(streams, console.FactsOf(streams, os.Getenv)), getenv: os.Getenv, uid: os.Getuid()}
	if err := checkLent(); err != nil {
		sayError(e, err)
		os.Exit(exitFailed)
	}
	if err := host.Seclude(); err != nil {
		e.console.Warningf("%v", err)
	}
	os.Exit(run(ctx, os.Args, e))
}
