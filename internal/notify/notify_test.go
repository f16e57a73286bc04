package notify

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
)

const secretPath = "/services/FAKE-webhook-secret-0123456789"

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "address")
	if err := os.WriteFile(file, []byte("https://hooks.example.org"+secretPath+"\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"https://hooks.example.org" + secretPath: "https://hooks.example.org",
		"@" + file:                               "https://hooks.example.org",
		"logger -p auth.alert":                   "logger -p auth.alert",
		"/usr/local/sbin/page-me":                "/usr/local/sbin/page-me",
	} {
		target, err := Parse(text)
		if err != nil || target.String() != want || target.Web() != strings.HasPrefix(want, "https") || target.IsZero() {
			t.Errorf("%q: %q, %v", text, target, err)
		}
	}
	for _, text := range []string{
		"", " ", "http://hooks.example.org" + secretPath, "https://", "https://u:" + secretPath[1:] + "@hooks.example.org", "ftp://x" + secretPath,
		"mail -s 'an alarm' me", "a | b", "$HOME/x", "bin/page-me", "./page-me", "@" + file + ".missing", "@", "https://[::1" + secretPath,
	} {
		if target, err := Parse(text); err == nil || strings.Contains(err.Error(), "FAKE") {
			t.Errorf("%q: %q, %v", text, target, err)
		}
	}
}

// TestPost has a server that behaves in every way.
func TestPost(t *testing.T) {
	var got string
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got += "other" }))
	defer other.Close()
	mux.HandleFunc("POST "+secretPath, func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got += r.Header.Get("Content-Type") + " " + string(text)
	})
	mux.HandleFunc("GET "+secretPath, func(http.ResponseWriter, *http.Request) { got += "GET" })
	plain := "http://" + server.Listener.Addr().String()
	for path, to := range map[string]string{"/same": server.URL + secretPath, "/other": other.URL, "/clear": plain, "/loop": "/loop"} {
		mux.Handle(path, http.RedirectHandler(to, http.StatusPermanentRedirect))
	}
	mux.Handle("/lost", http.RedirectHandler(secretPath, http.StatusFound))
	mux.HandleFunc("/no", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	const told = `application/json {"n":1}`
	for path, want := range map[string]struct{ got, err string }{
		secretPath: {told, ""},
		"/same":    {told, ""},
		"/other":   {"", "leads to another host"},
		"/clear":   {"", "leads to another host"},
		"/lost":    {"", "without taking the message"},
		"/loop":    {"", "on and on"},
		"/no":      {"", "answered 403 Forbidden"},
	} {
		got = ""
		target, err := Parse(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		target.client = server.Client()
		err = target.Send(t.Context(), nil, []byte(`{"n":1}`))
		if got != want.got || (err == nil) != (want.err == "") {
			t.Errorf("%s: told %q, %v", path, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), want.err) || strings.Contains(err.Error(), path+`"`)) {
			t.Errorf("%s: told %q, %v", path, got, err)
		}
	}
	target, _ := Parse(server.URL + secretPath) // whose certificate nobody vouches for
	if err := target.Send(t.Context(), nil, nil); err == nil || strings.Contains(err.Error(), "FAKE") {
		t.Errorf("an unknown certificate: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := target.Send(ctx, nil, nil); err == nil {
		t.Error("a run that was interrupted tells")
	}
}

// TestProgram runs what root alone could have written, and nothing else.
func TestProgram(t *testing.T) {
	run, err := host.NewTrusted()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "page-me")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"grep -q alarm":      "",
		"/usr/bin/grep -q a": "",
		"grep -q fire":       "exit code 1",
		"no-such-program-17": "not found",
		script:               "not trusted", // /tmp can be written by everybody
	} {
		target, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		err = target.Send(t.Context(), run, []byte(`{"text":"an alarm"}`))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
