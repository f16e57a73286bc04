package rotate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/clawbook/openclaw-ir/rotate"
)

// fakeGateway answers as the real ones do. What is set replaces an answer.
type fakeGateway struct {
	token string
	http  func(http.ResponseWriter, *http.Request)
	ws    func(context.Context, *websocket.Conn)
	asked atomic.Int32 // attempts with a wrong value
}

func (g *fakeGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Upgrade") != "":
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 20)
		if g.ws != nil {
			g.ws(r.Context(), conn)
			return
		}
		g.handshake(r.Context(), conn)
	case g.http != nil:
		g.http(w, r)
	case r.Method != http.MethodPost || r.URL.Path != "/tools/invoke":
		http.NotFound(w, r)
	case r.Header.Get("Authorization") != "Bearer "+g.token:
		g.asked.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	default:
		http.Error(w, "tools.invoke requires body.tool", http.StatusBadRequest)
	}
}

func (g *fakeGateway) handshake(ctx context.Context, conn *websocket.Conn) {
	send(ctx, conn, `{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1}}`)
	_, text, err := conn.Read(ctx)
	var hello struct {
		ID, Method string
		Params     struct {
			Auth   struct{ Token, Password string }
			Scopes []string
			Device any
		}
	}
	switch {
	case err != nil || json.Unmarshal(text, &hello) != nil || hello.Method != "connect" || len(hello.Params.Scopes) > 0 || hello.Params.Device != nil:
		conn.Close(websocket.StatusInternalError, "not the handshake that is wanted")
	case hello.Params.Auth.Token != g.token || hello.Params.Auth.Password != g.token:
		g.asked.Add(1)
		send(ctx, conn, `{"type":"res","id":"`+hello.ID+`","ok":false,"error":{"code":"INVALID_REQUEST","message":"unauthorized","details":{"code":"AUTH_TOKEN_MISMATCH"}}}`)
		conn.Close(websocket.StatusPolicyViolation, "unauthorized")
	default:
		send(ctx, conn, `{"type":"res","id":"`+hello.ID+`","ok":true,"payload":{"type":"hello-ok","protocol":4}}`)
		_, _, _ = conn.Read(ctx)
	}
}

func send(ctx context.Context, conn *websocket.Conn, text string) {
	_ = conn.Write(ctx, websocket.MessageText, []byte(text))
}

func (g *fakeGateway) start(t *testing.T) rotate.Probe {
	t.Helper()
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	return rotate.Probe{Addr: strings.TrimPrefix(s.URL, "http://")}
}

func TestVerify(t *testing.T) {
	const old, value = "the-old-one", "the-new-one"
	c := rotate.Credential{Name: rotate.GatewayToken}
	all := func(checks []rotate.Check) (ok string) {
		for _, check := range checks {
			ok += fmt.Sprint(map[bool]string{true: "y", false: "n"}[check.OK])
			if check.OK != (check.Hint == "") {
				t.Errorf("a hint for what is OK, or none for what is not: %+v", check)
			}
			if strings.Contains(fmt.Sprintf("%+v", check), "-one") {
				t.Errorf("it shows a value: %+v", check)
			}
		}
		return ok
	}
	for _, test := range []struct {
		name, token string
		old         []string
		want        string
	}{
		{"replaced", value, []string{old}, "yyyy"},
		{"replaced, old unknown", value, nil, "yyyy"},
		{"replaced, many old", value, []string{old, "a", "b"}, "yyyy"},
		{"more old ones than may be tried", value, []string{old, "a", "b", "c"}, "yynn"},
		{"not replaced", old, []string{old}, "nnnn"},
		{"the same", value, []string{value}, "yynn"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := &fakeGateway{token: test.token}
			if got := all(rotate.Verify(t.Context(), g.start(t), c, test.old, value)); got != test.want {
				t.Errorf("checks %s, want %s", got, test.want)
			}
			if n := g.asked.Load(); n >= 10 {
				t.Errorf("%d wrong attempts, which lock everyone out", n)
			}
		})
	}
	t.Run("takes a while to reload", func(t *testing.T) {
		t.Parallel()
		g := &fakeGateway{token: value}
		start := time.Now()
		g.http = func(w http.ResponseWriter, r *http.Request) {
			right := r.Header.Get("Authorization") == "Bearer "+value
			w.WriteHeader(map[bool]int{true: 400, false: 401}[right && time.Since(start) > time.Second])
		}
		if got := all(rotate.Verify(t.Context(), g.start(t), c, []string{old}, value)); got != "yyyy" {
			t.Errorf("checks %s", got)
		}
	})
	t.Run("starts anew after it took the new value over", func(t *testing.T) {
		t.Parallel()
		g := &fakeGateway{token: value}
		var starting atomic.Int32
		g.http = func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("Authorization") == "Bearer "+value:
				w.WriteHeader(http.StatusBadRequest)
			case starting.Add(1) == 1:
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
		if got := all(rotate.Verify(t.Context(), g.start(t), c, []string{old}, value)); got != "yyyy" {
			t.Errorf("checks %s", got)
		}
	})
	t.Run("open to everyone", func(t *testing.T) {
		g := &fakeGateway{
			http: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) },
			ws: func(ctx context.Context, conn *websocket.Conn) {
				send(ctx, conn, `{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok"}}`)
			},
		}
		if got := all(rotate.Verify(t.Context(), g.start(t), c, nil, value)); got != "yynn" {
			t.Errorf("checks %s", got)
		}
	})
}

// TestHostileGateway asks gateways that do what they can to hang, exhaust or fool us. None is taken for an answer.
func TestHostileGateway(t *testing.T) {
	endless := strings.Repeat("x", 1<<16)
	for name, g := range map[string]*fakeGateway{
		"redirects elsewhere": {
			http: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://192.0.2.1/", http.StatusTemporaryRedirect)
			},
			ws: func(ctx context.Context, conn *websocket.Conn) {
				for range 1000 {
					send(ctx, conn, `{"type":"event"}`)
				}
			},
		},
		"never ends": {
			http: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusTeapot)
				for r.Context().Err() == nil {
					if _, err := io.WriteString(w, endless); err != nil {
						return
					}
				}
			},
			ws: func(ctx context.Context, conn *websocket.Conn) { send(ctx, conn, strings.Repeat(endless, 80)) },
		},
		"talks nonsense": {
			http: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
			ws: func(ctx context.Context, conn *websocket.Conn) {
				send(ctx, conn, `{"type":"res","id":"1","ok":false,"error":{"code":"\u001b[31m","message":"\u001b]0;x","details":{"code":"AUTH\u001b"}}}`)
			},
		},
		"limits attempts": {
			http: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
			ws: func(ctx context.Context, conn *websocket.Conn) {
				send(ctx, conn, `{"type":"res","id":"1","ok":false,"error":{"code":"INVALID_REQUEST","message":"unauthorized: x","details":{"code":"AUTH_RATE_LIMITED"}}}`)
			},
		},
		"still starts": {
			http: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			ws: func(ctx context.Context, conn *websocket.Conn) {
				send(ctx, conn, `{"type":"res","id":"1","ok":false,"error":{"code":"UNAVAILABLE","message":"starting","details":{"reason":"startup-sidecars"}}}`)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := g.start(t)
			for proto, v := range map[string]rotate.Verdict{"HTTP": p.HTTP(t.Context(), "x"), "WebSocket": p.WebSocket(t.Context(), "x")} {
				if v.Answer != rotate.NoAnswer || v.Why == "" || strings.ContainsRune(v.String(), '\x1b') {
					t.Errorf("%s: %q", proto, v)
				}
			}
		})
	}
}

func TestProbeStaysOnThisMachine(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:18789", "example.com:80", "localhost:18789", "0.0.0.0:1", "", "127.0.0.1"} {
		p := rotate.Probe{Addr: addr}
		for _, v := range []rotate.Verdict{p.HTTP(t.Context(), "x"), p.WebSocket(t.Context(), "x")} {
			if v.Answer != rotate.NoAnswer || !strings.Contains(v.Why, "this machine") {
				t.Errorf("%q: %v", addr, v)
			}
		}
	}
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	g := &fakeGateway{token: "x"}
	p := g.start(t)
	if v := p.HTTP(t.Context(), "x"); v.Answer != rotate.Accepted {
		t.Errorf("over a proxy: %v", v)
	}
	silent := rotate.Probe{Addr: "127.0.0.1:1"}
	if v := silent.WebSocket(t.Context(), "x"); v.Answer != rotate.NoAnswer || !strings.Contains(v.Why, "refused") {
		t.Errorf("a closed port: %v", v)
	}
}

// TestProbeOwn asks an address of this machine without a secret, and no other address with or without one.
func TestProbeOwn(t *testing.T) {
	for _, addr := range []string{"192.0.2.77:18789", "0.0.0.0:1", "8.8.8.8:53"} {
		p := rotate.Probe{Addr: addr, Own: true}
		if v := p.WebSocket(t.Context(), ""); !strings.Contains(v.Why, "this machine") {
			t.Errorf("%q: %v", addr, v)
		}
		if healthy, _, why := p.Health(t.Context()); healthy || !strings.Contains(why, "this machine") {
			t.Errorf("%q: %v", addr, why)
		}
	}
	own := ownAddress(t)
	listener, err := net.Listen("tcp", net.JoinHostPort(own, "0"))
	if err != nil {
		t.Skip(err)
	}
	s := httptest.NewUnstartedServer(&fakeGateway{token: "x"})
	s.Listener.Close()
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	p := rotate.Probe{Addr: listener.Addr().String(), Own: true}
	if v := p.WebSocket(t.Context(), ""); v.Answer != rotate.Refused {
		t.Errorf("without a secret: %v", v)
	}
	if v := p.WebSocket(t.Context(), "x"); v.Answer != rotate.NoAnswer || !strings.Contains(v.Why, "this machine") {
		t.Errorf("a secret left by an address that is not loopback: %v", v)
	}
}

func ownAddress(t *testing.T) string {
	t.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr().String()
		}
	}
	t.Skip("this machine has loopback only")
	return ""
}

// TestProbeHealth takes an answer for a gateway's only if it is one, and of its page no more than a release.
func TestProbeHealth(t *testing.T) {
	for _, test := range []struct {
		health, page string
		code         int
		healthy      bool
		release      string
	}{
		{`{"ok":true,"status":"live"}`, `<html data-openclaw-control-ui-build-id="2026.9.6-release-abc">`, 200, true, "2026.9.6"},
		{`{"ok":true}`, `<html data-openclaw-control-ui-build-id="<script>">`, 200, true, ""},
		{`{"ok":false}`, "", 200, false, ""},
		{`<html>openclaw</html>`, "", 200, false, ""},
		{`{"ok":true}`, "", 404, false, ""},
	} {
		g := &fakeGateway{http: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				_, _ = w.Write([]byte(test.page))
				return
			}
			w.WriteHeader(test.code)
			_, _ = w.Write([]byte(test.health))
		}}
		healthy, release, why := g.start(t).Health(t.Context())
		if healthy != test.healthy || release != test.release || (why == "") != healthy {
			t.Errorf("%q: %v %q %q", test.health, healthy, release, why)
		}
	}
}

func TestProbeTLS(t *testing.T) {
	s := httptest.NewTLSServer(&fakeGateway{token: "x"})
	t.Cleanup(s.Close)
	p := rotate.Probe{Addr: strings.TrimPrefix(s.URL, "https://"), TLS: true}
	for _, v := range []rotate.Verdict{p.HTTP(t.Context(), "x"), p.WebSocket(t.Context(), "x")} {
		if v.Answer != rotate.Accepted {
			t.Errorf("%v", v)
		}
	}
}
