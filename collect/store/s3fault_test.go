package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clawbook/openclaw-ir/internal/storetest"
)

// between stands between us and a real server, and changes its answers.
func between(t *testing.T, s *storetest.S3, change func(*http.Response) error) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Addr})
	proxy.ModifyResponse = change
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) }
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestS3AnswerLost has the server do what it was asked for, and its answer get lost: once, or each time that it is asked to store.
func TestS3AnswerLost(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	data, _ := sealedBytes(t, 6<<20)
	for _, c := range []struct {
		name     string
		partSize int64
		lost     string // the method whose answers are lost
		times    int64
	}{
		{"parts-completed", 5 << 20, http.MethodPost, 1},
		{"parts-sent", 5 << 20, http.MethodPut, 1},
		{"whole", 16 << 20, http.MethodPut, 1},
		{"whole-always", 16 << 20, http.MethodPut, math.MaxInt64},
	} {
		var times atomic.Int64
		at := between(t, s, func(r *http.Response) error {
			// Of an upload in parts, what ends it.
			if q := r.Request.URL.Query(); r.Request.Method == c.lost && !q.Has("uploads") && times.Add(1) <= c.times {
				return errors.New("lost")
			}
			return nil
		})
		if err := put(t, open(t, s.Via(at), Options{PartSize: c.partSize}), c.name, data); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := s.Stored(t, c.name); !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes stored", c.name, len(got))
		}
		if times.Load() == 0 {
			t.Errorf("%s: no answer was lost", c.name)
		}
	}
}

// TestS3AnswerLostPutOnly does so where we cannot look: that is told, and not that it was stored.
func TestS3AnswerLostPutOnly(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	s.PutOnly(t)
	var times atomic.Int64
	at := between(t, s, func(*http.Response) error {
		if times.Add(1) == 1 {
			return errors.New("lost")
		}
		return nil
	})
	data, digest := sealedBytes(t, 1000)
	err := put(t, open(t, s.Via(at), Options{}), "B", data)
	wantError(t, err, "perhaps by an earlier try whose answer was lost", digest)
	if !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
}

// TestS3Lies has the server say that it has something else than it was sent.
func TestS3Lies(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	at := between(t, s, func(r *http.Response) error {
		if r.Header.Get("X-Amz-Checksum-Sha256") != "" {
			r.Header.Set("X-Amz-Checksum-Sha256", "AAAA")
		}
		return nil
	})
	data, _ := sealedBytes(t, 6<<20)
	for name, size := range map[string]int64{"whole": 16 << 20, "parts": 5 << 20} {
		wantError(t, put(t, open(t, s.Via(at), Options{PartSize: size}), name, data), `it has SHA-256 "AAAA"`, "do not rely on this store")
	}
	s.Missing(t, "parts")
}

// TestS3Corrupts has the line change what is sent: the server refuses it.
func TestS3Corrupts(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Addr})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && len(body) > 1000 {
			body[len(body)/2] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	data, _ := sealedBytes(t, 6<<20)
	for name, size := range map[string]int64{"whole": 16 << 20, "parts": 5 << 20} {
		err := put(t, open(t, s.Via(strings.TrimPrefix(server.URL, "http://")), Options{PartSize: size}), name, data)
		wantError(t, err, "the store says", "what arrived is not what was sent")
		s.Missing(t, name)
	}
}

// TestS3Older stores where a header that we send is unknown: the store says that it does not know it, in front of a real one.
func TestS3Older(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Addr})
	data, _ := sealedBytes(t, 6<<20)
	for what, unknown := range map[string][]string{"condition": {"If-None-Match"}, "both": {"If-None-Match", "X-Amz-Checksum-Sha256", "X-Amz-Checksum-Algorithm"}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, name := range unknown {
				if r.Header.Get(name) != "" {
					w.WriteHeader(http.StatusNotImplemented)
					fmt.Fprint(w, `<Error><Code>NotImplemented</Code><Message>a header</Message></Error>`)
					return
				}
			}
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		for _, size := range []int64{5 << 20, 16 << 20} {
			name := fmt.Sprintf("B-%s-%d", what, size)
			store := open(t, s.Via(strings.TrimPrefix(server.URL, "http://")), Options{PartSize: size})
			if err := put(t, store, name, data); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := put(t, store, name, data[1:]); !errors.Is(err, ErrExists) {
				t.Errorf("%s: something else under its name: %v", name, err)
			}
			if got := s.Stored(t, name); !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes stored", name, len(got))
			}
		}
	}
}

// TestS3Skew signs with the clock of a host that is twenty minutes ahead, and with that of one whose battery is empty.
func TestS3Skew(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	now := time.Now()
	for ahead, want := range map[time.Duration]string{20 * time.Minute: "20 minutes ahead of the store's", 0: "days behind the store's"} {
		synctest.Test(t, func(t *testing.T) { // in here it is 2000, until one sleeps
			if ahead > 0 {
				time.Sleep(time.Until(now.Add(ahead)))
			}
			store, err := Open(t.Context(), s.Address(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			wantError(t, put(t, store, "B", []byte("sealed")), "RequestTimeTooSkewed", "the clock of this host is ")
			var told *Error
			if err := put(t, store, "B", []byte("sealed")); !errors.As(err, &told) || !strings.Contains(told.Hint, want) {
				t.Errorf("hint %q, want %q", told.Hint, want)
			}
		})
	}
	s.Missing(t, "B")
}

// pages answers every listing with what a hostile store says.
func pages(t *testing.T, page func(n int64) string) Store {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprintf(w, `<ListBucketResult>%s</ListBucketResult>`, page(n.Add(1)))
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "k")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	return open(t, "s3://bucket/host-1?endpoint="+server.URL, Options{})
}

func TestS3HostileListing(t *testing.T) {
	s := pages(t, func(int64) string {
		text := ""
		for _, name := range []string{"host-1/good", "host-1/a/b", "host-1/../x", "host-2/other", "host-1/a&#x9b;b", "host-1/a&#x202e;b", "host-1/", "host-1/.x"} {
			text += "<Contents><Key>" + name + "</Key><Size>1</Size></Contents>"
		}
		return text + "<Contents><Key>host-1/less</Key><Size>-1</Size></Contents><CommonPrefixes><Prefix>host-1/folder/</Prefix></CommonPrefixes>"
	})
	objects, err := s.List(t.Context())
	if err != nil || len(objects) != 9 {
		t.Fatalf("listed %v, %v", objects, err)
	}
	for _, o := range objects {
		if (o.Problem == "") != (o.Name == "good") {
			t.Errorf("%q: %q", o.Name, o.Problem)
		}
	}
}

func TestS3EndlessListing(t *testing.T) {
	row := strings.Repeat("<Contents><Key>host-1/x</Key><Size>1</Size></Contents>", 1000)
	endless := func(row string) func(int64) string {
		return func(n int64) string {
			return fmt.Sprintf("<IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>%s", n, row)
		}
	}
	_, err := pages(t, endless(row)).List(t.Context())
	wantError(t, err, "more than 100000", "")
	_, err = pages(t, endless("")).List(t.Context())
	wantError(t, err, "does not go on", "")
}

// TestS3LyingSizes reads from a store that sends less, or elsewhere, than it said.
func TestS3LyingSizes(t *testing.T) {
	for want, answer := range map[string]func(w http.ResponseWriter){
		errLessTold: func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-99/100")
			w.Header().Set("Content-Length", "10")
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, "0123456789")
		},
		"another range": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 50-149/200")
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, strings.Repeat("x", 100))
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"x"`)
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", "100")
				return
			}
			answer(w)
		}))
		t.Cleanup(server.Close)
		t.Setenv("AWS_ACCESS_KEY_ID", "k")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
		f, err := open(t, "s3://bucket/host-1?endpoint="+server.URL, Options{}).Open(t.Context(), "B")
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.ReadAt(make([]byte, 50), 0)
		wantError(t, err, want, "")
		f.Close()
	}
}
