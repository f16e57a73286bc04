package rotate

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/coder/websocket"
)

const (
	maxReply      = 4 << 20 // bytes of one message; what a gateway greets with has some 100 kB
	maxFrames     = 64      // messages before the answer
	maxReplyHead  = 64 << 10
	maxCodeLength = 64
)

var errNotLoopback = errors.New("not an address of this machine alone")

// client returns an HTTP client for one question, and what closes its connection.
func (p Probe) client() (*http.Client, func(), error) {
	addr, err := netip.ParseAddrPort(p.Addr)
	if err != nil || !addr.Addr().IsLoopback() && !(p.Own && isOwn(addr.Addr())) {
		return nil, nil, fmt.Errorf("%q: %w", p.Addr, errNotLoopback)
	}
	dial := p.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t := &http.Transport{
		Proxy:                  nil,
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, "tcp", addr.String()) },
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see Probe.TLS
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxReplyHead,
	}
	never := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: t, CheckRedirect: never}, t.CloseIdleConnections, nil
}

// isOwn reports that an address is one of this machine's interfaces.
func isOwn(addr netip.Addr) bool {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range list {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr() == addr.Unmap().WithZone("") {
			return true
		}
	}
	return false
}

// buildID is where the page of a gateway names its release.
var buildID = regexp.MustCompile(`data-openclaw-control-ui-build-id="(20\d\d\.\d{1,2}\.\d{1,3}[\w.]{0,20})`)

// Health asks whether a gateway lives, which those of 2026.9 say to everybody (FACTS 8.3), and takes the release from its
// page. why says what was the matter with one that does not say so.
func (p Probe) Health(ctx context.Context) (healthy bool, release, why string) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	text, code, err := p.get(ctx, "/healthz")
	if err != nil {
		return false, "", unanswered(err).Why
	}
	var health struct {
		OK bool `json:"ok"`
	}
	if page, pageCode, err := p.get(ctx, "/"); err == nil && pageCode == http.StatusOK {
		if m := buildID.FindSubmatch(page); m != nil {
			release = string(m[1])
		}
	}
	healthy = code == http.StatusOK && json.Unmarshal(text, &health) == nil && health.OK
	if !healthy {
		why = "it answers, and not as a gateway does (" + strconv.Itoa(code) + ")"
	}
	return healthy, release, why
}

func (p Probe) get(ctx context.Context, path string) (text []byte, code int, err error) {
	client, done, err := p.client()
	if err != nil {
		return nil, 0, err
	}
	defer done()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url("http")+path, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(io.LimitReader(resp.Body, maxReplyHead))
	return text, resp.StatusCode, err
}

func (p Probe) url(scheme string) string {
	if p.TLS {
		scheme += "s"
	}
	return scheme + "://" + p.Addr
}

// HTTP asks with a bearer token, which is how a password is sent too. POST /tools/invoke, in every release from
// 2026.1.30 on, asks for the credential first, so that a request that names no tool ends in 400 where it is accepted
// and does nothing at all.
func (p Probe) HTTP(ctx context.Context, value string) Verdict {
	p.Own = p.Own && value == "" // a secret leaves by loopback alone
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client, done, err := p.client()
	if err != nil {
		return unanswered(err)
	}
	defer done()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url("http")+"/tools/invoke", strings.NewReader("{}"))
	if err != nil {
		return unanswered(err)
	}
	req.Header.Set("Authorization", "Bearer "+value)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return unanswered(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxReplyHead)
	code := strconv.Itoa(resp.StatusCode)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return Verdict{Answer: Refused, Code: code}
	case http.StatusOK, http.StatusBadRequest:
		return Verdict{Answer: Accepted, Code: code}
	}
	return Verdict{Answer: NoAnswer, Code: code, Why: "an answer that tells nothing"}
}

// A frame is a message of the gateway (gateway/protocol/handshake of the documentation).
type frame struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	OK      bool   `json:"ok"`
	Payload struct {
		Type string `json:"type"`
	} `json:"payload"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details struct {
			Code string `json:"code"`
		} `json:"details"`
	} `json:"error"`
}

// WebSocket asks with the gateway's own handshake, as a client on the same machine without a device identity: so nothing is
// paired, and with no scopes nothing may be asked. Both fields carry the value: a gateway takes the one of its mode,
// and 2026.1 asks for a token where there is no device.
func (p Probe) WebSocket(ctx context.Context, value string) Verdict {
	p.Own = p.Own && value == "" // a secret leaves by loopback alone
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client, done, err := p.client()
	if err != nil {
		return unanswered(err)
	}
	defer done()
	conn, _, err := websocket.Dial(ctx, p.url("ws"), &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // the library does
	if err != nil {
		return unanswered(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxReply)
	hello, err := json.Marshal(map[string]any{"type": "req", "id": connectID, "method": "connect", "params": map[string]any{
		"minProtocol": 3, "maxProtocol": 4, // 3 until 2026.3 at least, 4 in 2026.9
		"client": map[string]string{"id": "gateway-client", "mode": "backend", "version": "openclaw-ir", "platform": "linux"},
		"role":   "operator", "scopes": []string{}, "caps": []string{},
		"auth": map[string]string{"token": value, "password": value},
	}})
	if err == nil {
		err = conn.Write(ctx, websocket.MessageText, hello)
	}
	if err != nil {
		return unanswered(err)
	}
	v := readVerdict(ctx, conn)
	if v.Answer == Accepted {
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}
	return v
}

const connectID = "1"

func readVerdict(ctx context.Context, conn *websocket.Conn) Verdict {
	for range maxFrames {
		_, text, err := conn.Read(ctx)
		if status := websocket.CloseStatus(err); status == websocket.StatusPolicyViolation {
			return Verdict{Answer: Refused, Code: "close 1008"}
		}
		if err != nil {
			return unanswered(err)
		}
		var f frame
		if json.Unmarshal(text, &f) != nil || f.Type != "res" || f.ID != connectID {
			continue
		}
		return f.verdict()
	}
	return Verdict{Answer: NoAnswer, Why: "it talks and does not answer"}
}

// verdict reads the answer to connect. The older releases tell the reason in the message alone.
func (f *frame) verdict() Verdict {
	code := plainCode(f.Error.Details.Code)
	if code == "" {
		code = plainCode(f.Error.Code)
	}
	switch {
	case f.OK && f.Payload.Type == "hello-ok":
		return Verdict{Answer: Accepted, Code: "hello-ok"}
	case code == "AUTH_RATE_LIMITED", strings.Contains(f.Error.Message, "too many failed authentication attempts"):
		return Verdict{Answer: NoAnswer, Code: "AUTH_RATE_LIMITED", Why: "too many wrong attempts"}
	case strings.HasPrefix(code, "AUTH_") || strings.HasPrefix(f.Error.Message, "unauthorized"):
		return Verdict{Answer: Refused, Code: code}
	}
	return Verdict{Answer: NoAnswer, Code: code, Why: "an answer that tells nothing"}
}

// plainCode lets nothing but a code pass: what a gateway sends is hostile.
func plainCode(s string) string {
	if len(s) > maxCodeLength || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" {
		return ""
	}
	return s
}

// unanswered tells why in our own words: an error may repeat what the gateway sent.
func unanswered(err error) Verdict {
	v := Verdict{Answer: NoAnswer, Why: "the connection broke"}
	var op *net.OpError
	switch {
	case errors.Is(err, errNotLoopback):
		v.Why = err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		v.Why = "it did not answer in time"
	case errors.As(err, &op) && op.Op == "dial":
		v.Why = op.Err.Error()
	}
	return v
}
