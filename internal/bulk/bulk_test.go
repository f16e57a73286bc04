package bulk

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A fakeStore speaks the bulk interface and fails as it is told.
type fakeStore struct {
	mu       sync.Mutex
	kept     map[string]string
	requests int
	sizes    []int                                                           // documents of each request
	fault    func(n int, w http.ResponseWriter, r *http.Request) (done bool) // n counts the requests from 1
	status   func(n int, id string) int                                      // of one document; 0 to keep it
}

// asked is how many requests there were. A connection that was cut tells nothing of when its handler ended.
func (s *fakeStore) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.fault != nil && s.fault(s.requests, w, r) {
		return
	}
	zip, err := gzip.NewReader(r.Body)
	if err != nil || r.URL.Path != "/logs/_bulk" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-ndjson" {
		http.Error(w, "no bulk request", http.StatusBadRequest)
		return
	}
	var items []any
	d := json.NewDecoder(zip)
	for {
		var action map[string]map[string]string
		var doc json.RawMessage
		if err := d.Decode(&action); err == io.EOF {
			break
		} else if err != nil || action["create"]["_index"] != "claw" || d.Decode(&doc) != nil {
			http.Error(w, "not as it must be", http.StatusBadRequest)
			return
		}
		items = append(items, map[string]any{"create": s.keep(action["create"]["_id"], string(doc))})
	}
	s.sizes = append(s.sizes, len(items))
	json.NewEncoder(w).Encode(map[string]any{"took": 1, "items": items})
}

func (s *fakeStore) keep(id, doc string) map[string]any {
	status := http.StatusCreated
	if s.status != nil {
		if code := s.status(s.requests, id); code != 0 {
			return map[string]any{"_id": id, "status": code, "error": map[string]string{"type": "mapper", "reason": "because\x1b[2J"}}
		}
	}
	if _, there := s.kept[id]; there {
		return map[string]any{"_id": id, "status": http.StatusConflict}
	}
	s.kept[id] = doc
	return map[string]any{"_id": id, "status": status}
}

func start(t testing.TB, s *fakeStore) (Address, *httptest.Server) {
	t.Helper()
	s.kept = map[string]string{}
	server := httptest.NewServer(s)
	a, err := ParseAddress(server.URL + "/logs/claw")
	if err != nil {
		t.Fatal(err)
	}
	return a, server
}

// sendAll sends n documents of a size.
func sendAll(a Address, o Options, n, size int) (Result, error) {
	o.Patience = time.Microsecond
	w := New(a, o)
	for i := range n {
		doc := map[string]any{"n": i, "pad": strings.Repeat("x", size)}
		if err := w.Create(context.Background(), fmt.Sprintf("id-%d", i), doc); err != nil {
			return w.Result(), err
		}
	}
	err := w.Flush(context.Background())
	return w.Result(), err
}

func TestBatches(t *testing.T) {
	for _, c := range []struct{ n, size, requests int }{{0, 1, 0}, {1, 1, 1}, {1000, 1, 1}, {1001, 1, 2}, {10, 1_000_000, 3}, {2, 6_000_000, 2}} {
		s := &fakeStore{}
		a, server := start(t, s)
		r, err := sendAll(a, Options{}, c.n, c.size)
		server.Close()
		if err != nil || int(r.Created) != c.n || len(s.kept) != c.n || s.requests != c.requests {
			t.Errorf("%+v: %+v, %v, %d requests", c, r, err, s.requests)
		}
	}
}

// TestAgain sends the same twice: the store keeps it once.
func TestAgain(t *testing.T) {
	s := &fakeStore{}
	a, server := start(t, s)
	defer server.Close()
	if _, err := sendAll(a, Options{}, 30, 10); err != nil {
		t.Fatal(err)
	}
	if r, err := sendAll(a, Options{}, 40, 10); err != nil || r.Existing != 30 || r.Created != 10 || len(s.kept) != 40 {
		t.Errorf("%+v, %v, %d kept", r, err, len(s.kept))
	}
}

func code(status int) func(int, http.ResponseWriter, *http.Request) bool {
	return func(n int, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Location", "http://203.0.113.1/")
		w.WriteHeader(status)
		return true
	}
}

// TestFaults lets the store fail in ways that end, and in ways that do not.
func TestFaults(t *testing.T) {
	first := func(f func(int, http.ResponseWriter, *http.Request) bool, until int) func(int, http.ResponseWriter, *http.Request) bool {
		return func(n int, w http.ResponseWriter, r *http.Request) bool { return n <= until && f(n, w, r) }
	}
	cut := func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		conn.Close()
		return true
	}
	for name, c := range map[string]struct {
		fault    func(int, http.ResponseWriter, *http.Request) bool
		requests int
		fails    string
	}{
		"busy for a while":   {first(code(429), 3), 4, ""},
		"down for a while":   {first(code(503), 5), 6, ""},
		"cut":                {first(cut, 2), 3, ""},
		"always down":        {code(502), attempts, "answers 502"},
		"always cut":         {cut, attempts, "EOF"},
		"not allowed":        {code(403), 1, "answers 403"},
		"redirects":          {code(307), 1, "elsewhere"},
		"redirects for good": {code(301), 1, "elsewhere"},
		"another kind":       {func(_ int, w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "<html>"); return true }, 1, "not known"},
		"fewer items":        {func(_ int, w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, `{"items":[]}`); return true }, 1, "not known"},
		"no content":         {code(204), 1, "answers 204"},
		"busy and asks for 0s": {first(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(429)
			return true
		}, 1), 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &fakeStore{fault: c.fault}
			a, server := start(t, s)
			defer server.Close()
			r, err := sendAll(a, Options{}, 5, 10)
			switch {
			case c.fails == "" && (err != nil || r.Created != 5):
				t.Errorf("%+v, %v", r, err)
			case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails) || r.Unsent != 5):
				t.Errorf("%+v, %v", r, err)
			case s.asked() != c.requests:
				t.Errorf("%d requests", s.asked())
			}
		})
	}
}

// TestTooLarge halves what the store finds too large, and counts a document that it never takes.
func TestTooLarge(t *testing.T) {
	s := &fakeStore{}
	s.fault = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength < 4000 {
			return false
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return true
	}
	a, server := start(t, s)
	defer server.Close()
	w := New(a, Options{Patience: time.Microsecond})
	for i := range 200 {
		pad := fmt.Sprintf("%x", rapid.SliceOfN(rapid.Byte(), 50, 50).Example(i))
		if i == 7 {
			pad = fmt.Sprintf("%x", rapid.SliceOfN(rapid.Byte(), 9000, 9000).Example(i))
		}
		if err := w.Create(context.Background(), fmt.Sprint(i), map[string]string{"pad": pad}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r := w.Result(); r.Created != 199 || r.Refused != 1 || r.Reasons[0].Status != 413 {
		t.Errorf("%+v", r)
	}
}

// TestEveryDocumentIsAccountedFor answers for each document in any way: what is created, there, refused and unsent is all.
func TestEveryDocumentIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(r, "documents")
		codes := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 400, 404, 429, 503}), 1, 60).Draw(r, "codes")
		whole := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 0, 429, 500, 403}), 1, 10).Draw(r, "answers")
		asked := 0
		s := &fakeStore{status: func(int, string) int { asked++; return codes[asked%len(codes)] }}
		s.fault = func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if c := whole[n%len(whole)]; c != 0 {
				w.WriteHeader(c)
				return true
			}
			return false
		}
		a, server := start(t, s)
		defer server.Close()
		got, err := sendAll(a, Options{}, n, 1)
		if sum := got.Created + got.Existing + got.Refused + got.Unsent; int(sum) != n || int(got.Created) != len(s.kept) || (got.Unsent > 0) != (err != nil) {
			r.Fatalf("%+v of %d, %d kept: %v", got, n, len(s.kept), err)
		}
		var reasons int64
		for _, why := range got.Reasons {
			reasons += why.Count
		}
		if reasons != got.Refused {
			r.Fatalf("%+v", got)
		}
	})
}

func TestDryRunSendsNothing(t *testing.T) {
	s := &fakeStore{}
	a, server := start(t, s)
	defer server.Close()
	if r, err := sendAll(a, Options{DryRun: true}, 2500, 1); err != nil || r.Unsent != 2500 || r.Batches != 3 || r.Bytes == 0 || s.requests != 0 {
		t.Errorf("%+v, %v, %d requests", r, err, s.requests)
	}
}

func TestInterrupted(t *testing.T) {
	s := &fakeStore{}
	a, server := start(t, s)
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	s.fault = func(_ int, w http.ResponseWriter, _ *http.Request) bool { cancel(); return code(503)(0, w, nil) }
	w := New(a, Options{Patience: time.Hour})
	if err := w.Create(ctx, "1", map[string]int{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(ctx); err != context.Canceled || w.Result().Unsent != 1 {
		t.Errorf("%v, %+v", err, w.Result())
	}
}

// TestCredentials sends them, over TLS, to a store whose certificate is trusted, and to no other.
func TestCredentials(t *testing.T) {
	for text, want := range map[string]string{"me:sec:ret\n": "Basic bWU6c2VjOnJldA==", "ApiKey abc": "ApiKey abc", "Bearer xyz": "Bearer xyz"} {
		who, err := ParseCredentials(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		s := &fakeStore{kept: map[string]string{}, fault: func(_ int, _ http.ResponseWriter, r *http.Request) bool {
			got = append(got, r.Header.Get("Authorization"))
			return false
		}}
		server := httptest.NewUnstartedServer(s)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		a, err := ParseAddress(server.URL + "/logs/claw")
		if err != nil {
			t.Fatal(err)
		}
		if r, err := sendAll(a, Options{Credentials: who}, 1, 1); err == nil || len(got) > 0 || r.Unsent != 1 {
			t.Errorf("sent %q to a store that is not trusted: %v", got, err)
		}
		if _, err := sendAll(a, Options{Credentials: who, Transport: server.Client().Transport}, 1, 1); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%q, %v", got, err)
		}
		server.Close()
	}
	for _, text := range []string{"", "secret", "a:", ":b", "a:b\nc:d", "ApiKey ", "Bearer"} {
		if _, err := ParseCredentials(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"https://search.example.org:9200/claw":                               "https://search.example.org:9200/_bulk",
		"https://search.example.org/a/b/claw-2026.11/":                       "https://search.example.org/a/b/_bulk",
		"http://127.0.0.1:9428/insert/elasticsearch/claw?_msg_field=message": "http://127.0.0.1:9428/insert/elasticsearch/_bulk",
		"http://[::1]:9200/claw":                                             "http://[::1]:9200/_bulk",
		"http://localhost/claw":                                              "http://localhost/_bulk",
		"http://search.example.org/claw":                                     "",
		"http://127.0.0.1.example.org/claw":                                  "",
		"https://me:hunter2@search.example.org/claw":                         "",
		"https://search.example.org/":                                        "",
		"https://search.example.org/Claw":                                    "",
		"https://search.example.org/_all":                                    "",
		"https://search.example.org/claw#x":                                  "",
		"ftp://search.example.org/claw":                                      "",
		"search.example.org/claw":                                            "",
		"https://me:hunter2@search.example.org:port/claw":                    "",
	} {
		a, err := ParseAddress(text)
		if (err == nil) != (want != "") || err == nil && a.String() != want {
			t.Errorf("%s: %v, %v", text, a, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

// FuzzAnswer has the store answer anything. Each document is accounted for once, and of a reason no more than some is kept.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"items":[{"create":{"status":201}},{"create":{"status":409}},{"create":{"status":400,"error":{"type":"mapper","reason":"x"}}}]}`), 200)
	f.Add([]byte(`{"items":[{"index":{"status":201}},{},{"create":{"status":429}}]}`), 200)
	f.Add([]byte(`{"items":[]}`), 413)
	f.Fuzz(func(t *testing.T, text []byte, status int) {
		if status < 200 || status > 599 {
			return
		}
		a, err := ParseAddress("https://store.example/claw")
		if err != nil {
			t.Fatal(err)
		}
		w := New(a, Options{Patience: time.Nanosecond, Transport: answers(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
		})})
		const n = 3
		for i := range n {
			err = errors.Join(err, w.Create(t.Context(), fmt.Sprint(i), map[string]int{"n": i}))
		}
		err = errors.Join(err, w.Flush(t.Context()))
		got := w.Result()
		if got.Created+got.Existing+got.Refused+got.Unsent != n || (got.Unsent > 0) != (err != nil) {
			t.Errorf("%+v and %v", got, err)
		}
		for _, why := range got.Reasons {
			if len(why.Text)+len(why.Type) > 2*maxReasonText {
				t.Errorf("a reason of %d bytes", len(why.Text))
			}
		}
	})
}

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
