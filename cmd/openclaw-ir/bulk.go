package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/bulk"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// bulkFlags say where documents are sent instead of being printed.
func bulkFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "bulk", Usage: "with --format ecs or ocsf: send it to the OpenSearch, Elasticsearch or like store at `URL`, https://HOST:9200/INDEX"},
		&cli.StringFlag{Name: "bulk-credentials", Usage: "who sends: `FILE` holds NAME:PASSWORD, ApiKey KEY or Bearer TOKEN; or " + bulkVariable + " does"},
		&cli.BoolFlag{Name: "dry-run", Usage: "with --bulk: send nothing, and say what would be sent"},
	}
}

// bulkVariable is the environment variable that may hold what --bulk-credentials does.
const bulkVariable = "OPENCLAW_IR_BULK_CREDENTIALS"

// A bulkSink sends documents to a store of logs.
type bulkSink struct {
	c        *cli.Context
	env      env
	to       bulk.Address
	w        *bulk.Writer
	progress console.Progress
	begun    bool // the progress is shown
}

// newDocumentSink is where documents go: to a store of logs, if one is named, and otherwise to the standard output. It contacts nothing.
func newDocumentSink(c *cli.Context, e env) (documentSink, error) {
	address := c.String("bulk")
	if address == "" {
		if c.IsSet("bulk-credentials") || c.Bool("dry-run") {
			return nil, usageError("openclaw-ir analyze --format ecs --bulk https://HOST:9200/INDEX", "--bulk-credentials and --dry-run go with --bulk")
		}
		return newDocumentLines(e), nil
	}
	if !isSchema(c.String("format")) || c.Bool("count") {
		return nil, usageError("openclaw-ir analyze --format ecs --bulk https://HOST:9200/INDEX", "--bulk goes with --format ecs or ocsf, and without --count")
	}
	to, err := bulk.ParseAddress(address)
	if err != nil {
		return nil, usageError("write it as https://HOST:9200/INDEX", "--bulk: %v", err)
	}
	who, err := bulkCredentials(c, e)
	if err != nil {
		return nil, err
	}
	s := &bulkSink{c: c, env: e, to: to, progress: e.console.Progress(console.Bytes)}
	o := bulk.Options{Credentials: who, DryRun: c.Bool("dry-run"), Sent: s.progress.Add}
	if e.haste {
		o.Patience = time.Millisecond
	}
	s.w = bulk.New(to, o)
	return s, nil
}

// maxCredentials bounds what is read of a file of credentials, in bytes.
const maxCredentials = 64 << 10

// bulkCredentials reads who sends. A file that others may read is refused: they could send as the user.
func bulkCredentials(c *cli.Context, e env) (bulk.Credentials, error) {
	text, from := e.getenv(bulkVariable), bulkVariable
	if name := c.String("bulk-credentials"); name != "" {
		f, err := os.Open(name)
		if err != nil {
			return bulk.Credentials{}, fmt.Errorf("opening the credentials: %w", err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			return bulk.Credentials{}, usageError("chmod 600 "+console.ShellWord(name), "others than you may read the credentials in %q", name)
		}
		data, err := io.ReadAll(io.LimitReader(f, maxCredentials))
		if err != nil {
			return bulk.Credentials{}, fmt.Errorf("reading the credentials: %w", err)
		}
		text, from = string(data), name
	} else if text == "" {
		return bulk.Credentials{}, nil
	}
	who, err := bulk.ParseCredentials(text)
	if err != nil {
		return who, usageError("write one line: NAME:PASSWORD, ApiKey KEY or Bearer TOKEN", "%q: %v", from, err)
	}
	return who, nil
}

// Write sends a document, or lets it wait for others.
func (s *bulkSink) Write(ctx context.Context, doc analyze.Document) error {
	if !s.begun {
		s.begun = true
		s.progress.Start("sending", 0)
	}
	return s.problem(s.w.Create(ctx, doc.ID, doc.Body))
}

// Close sends what has waited and says what became of all.
func (s *bulkSink) Close(ctx context.Context) error {
	err := s.problem(s.w.Flush(ctx))
	s.progress.Done()
	if err != nil {
		return err
	}
	return s.say()
}

func (s *bulkSink) say() error {
	r := s.w.Result()
	if s.c.Bool("json") {
		if err := printJSON(s.env, "analyze --bulk", r); err != nil {
			return err
		}
	}
	if s.c.Bool("dry-run") {
		s.env.console.Printf("would send %d documents (%s) in %d requests to %q, index %q; nothing was sent", r.Unsent, console.Size(r.Bytes), r.Batches, s.to, s.to.Index)
		return nil
	}
	s.env.console.Printf("sent to %q, index %q: %d new, %d there already, %d refused", s.to, s.to.Index, r.Created, r.Existing, r.Refused)
	if r.Refused == 0 {
		return nil
	}
	for _, why := range r.Reasons {
		s.env.console.Warningf("%d refused: %d %q: %q", why.Count, why.Status, why.Type, why.Text)
	}
	return errPartial
}

// problem is an error of the store with what was done before it and what to do about it.
func (s *bulkSink) problem(err error) error {
	if err == nil || s.c.Context.Err() != nil {
		return err
	}
	r := s.w.Result()
	code := exitFailed
	if taken := r.Created + r.Existing; taken > 0 {
		code, err = exitPartial, fmt.Errorf("%w; it has %d documents of ours, and has not all", err, taken)
	}
	hint := "the same command sends the rest: what the store has is not kept twice"
	var told *bulk.Error
	if errors.As(err, &told) {
		switch {
		case told.Status == http.StatusUnauthorized || told.Status == http.StatusForbidden:
			hint = "--bulk-credentials FILE names who may create documents in that index"
		case told.Status == http.StatusNotFound || told.Status >= 300 && told.Status < 400:
			hint = "the address is that of the store itself and the index: https://HOST:9200/INDEX"
		case told.Untrusted:
			hint = "SSL_CERT_FILE=ca.pem before the command names the store's own authority"
		}
	}
	return &codeError{code, err, []string{hint}}
}
