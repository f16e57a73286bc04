// Package notify tells somebody elsewhere what happened here: it gives a message to a program, or posts it to a web address. Neither a
// shell nor a password takes part: a program is run by its arguments, and only if root alone could have written it; a web address must
// be https, and is shown without what follows the host, which may be a secret.
package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// How long telling may take.
const (
	commandTimeout = 30 * time.Second
	webTimeout     = 10 * time.Second
)

// A Target is who is told. The zero Target is nobody.
type Target struct {
	argv   []string
	url    *url.URL
	client *http.Client // nil but in tests
}

// addressLimit bounds a file that holds an address, in bytes.
const addressLimit = 16 << 10

// Parse reads a target: https://host/…, @FILE for a file whose first line is such an address, or a program with its arguments, which
// spaces separate. An error does not hold the address.
func Parse(text string) (Target, error) {
	if file, ok := strings.CutPrefix(text, "@"); ok {
		line, err := firstLine(file)
		if err != nil {
			return Target{}, err
		}
		return parseURL(line)
	}
	if strings.Contains(text, "://") {
		return parseURL(text)
	}
	argv := strings.Fields(text)
	switch {
	case len(argv) == 0:
		return Target{}, errors.New("no program and no address")
	case strings.ContainsAny(text, "'\"`\\$|&;<>(){}*?~\n\x00"):
		return Target{}, errors.New("no shell reads it, so quotes, variables and pipes mean nothing: put them into a script")
	case strings.Contains(argv[0], "/") && !filepath.IsAbs(argv[0]):
		return Target{}, fmt.Errorf("%q is neither an absolute path nor the name of a program", argv[0])
	}
	return Target{argv: argv}, nil
}

func firstLine(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("reading the address: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, addressLimit))
	if err != nil {
		return "", fmt.Errorf("reading the address: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line), nil
}

func parseURL(text string) (Target, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return Target{}, errors.New("not a web address")
	case u.Scheme != "https":
		return Target{}, fmt.Errorf("an address that begins with %s://: it must be https://, so that nobody on the way reads or changes it", u.Scheme)
	case u.User != nil:
		return Target{}, errors.New("a user or password in a web address")
	}
	return Target{url: u}, nil
}

// IsZero says whether nobody is to be told.
func (t Target) IsZero() bool { return t.url == nil && t.argv == nil }

// Web says whether it is a web address.
func (t Target) Web() bool { return t.url != nil }

// String names the target: a web address without what may be a secret.
func (t Target) String() string {
	if t.url != nil {
		return "https://" + t.url.Host
	}
	return strings.Join(t.argv, " ")
}

// Program is the program to run; empty for a web address.
func (t Target) Program() string {
	if t.argv == nil {
		return ""
	}
	return t.argv[0]
}

// Send tells, and returns nil if the program ended with 0 or the web server answered with 200 to 299. message is a line of JSON.
func (t Target) Send(ctx context.Context, run host.Runner, message []byte) error {
	if t.url != nil {
		return t.post(ctx, message)
	}
	res := run.Run(ctx, host.Command{Argv: t.argv, Stdin: message, Timeout: commandTimeout, MaxOutput: 4 << 10})
	switch {
	case res.Err != nil:
		return res.Err
	case res.ExitCode != 0:
		return fmt.Errorf("running %q: exit code %d: %s", t.argv[0], res.ExitCode, bytes.TrimSpace(res.Stderr))
	}
	return nil
}

func (t Target) post(ctx context.Context, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, webTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url.String(), bytes.NewReader(message))
	if err != nil {
		return fmt.Errorf("telling %s: not an address", t)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "openclaw-ir")
	client := http.Client{CheckRedirect: t.redirect}
	if t.client != nil {
		client.Transport = t.client.Transport
	}
	res, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // without the address
		}
		return fmt.Errorf("telling %s: %w", t, err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("telling %s: it answered %d %s", t, res.StatusCode, http.StatusText(res.StatusCode))
	}
	return nil
}

// redirect follows only where the message goes to the same host, and is a message still.
func (t Target) redirect(req *http.Request, via []*http.Request) error {
	switch {
	case req.URL.Scheme != "https" || req.URL.Host != t.url.Host:
		return errors.New("it leads to another host, which is not followed")
	case req.Method != http.MethodPost:
		return errors.New("it leads to another page without taking the message")
	case len(via) > 3:
		return errors.New("it leads on and on")
	}
	return nil
}
