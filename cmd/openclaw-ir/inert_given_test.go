package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/storetest"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// forge makes what a person may be given as evidence: a bundle sealed and signed by somebody else, in which every text is hostile, and
// a directory of snapshots of that kind.
func (x *inertRun) forge() {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	x.must(err)
	signer, err := ssh.NewSignerFromKey(private)
	x.must(err)
	x.seal(signer, filepath.Join(x.dir, "DIR/forged.tar.zst.age"), func(s *collect.Seal) { s.Link = nil })
	chain := filepath.Join(x.dir, "DIR/chain")
	for n, change := range []func(s *collect.Seal){
		func(*collect.Seal) {},
		func(s *collect.Seal) { s.Bundle = x.shown("sealed as") },
		func(s *collect.Seal) { s.Host = "another" },
		func(s *collect.Seal) { s.PrevSeal = strings.Repeat("0", 64) },
		func(s *collect.Seal) { s.Link.Chain = x.shown("another chain")[:30] },
		func(s *collect.Seal) { s.SHA256 = x.text("digest") },
		func(s *collect.Seal) { s.Link = nil },
	} {
		name := filepath.Join(chain, strings.ToValidUTF8(x.name("chained bundle"), "?")+collect.BundleSuffix)
		x.seal(signer, name, func(s *collect.Seal) {
			s.Link = &collect.Link{Chain: "forged chain", Number: n + 1, Full: true, State: strings.Repeat("0", 64)}
			change(s)
		})
	}
	x.planting.write(filepath.Join(chain, x.name("no bundle")+collect.BundleSuffix+collect.SealSuffix), x.text("no seal")+"\n{}\n")
}

// seal writes a bundle, and beside it a seal in which every text is hostile but what change makes of it.
func (x *inertRun) seal(signer ssh.Signer, name string, change func(*collect.Seal)) {
	var bundle bytes.Buffer
	sum := x.bundle(&bundle)
	var s collect.Seal
	inerttest.Fill(&s, "seal", x.text)
	s.Ciphertext, s.ManifestSHA256, s.Bundle = sum.Ciphertext, sum.ManifestSHA256, filepath.Base(name)
	change(&s)
	seal, err := s.Sign(signer)
	x.must(err)
	x.planting.write(name, bundle.String())
	x.planting.write(name+collect.SealSuffix, string(seal))
}

// bundle seals a state whose files have hostile names, beside rows that say anything.
func (x *inertRun) bundle(to io.Writer) collect.Summary {
	text, err := os.ReadFile(filepath.Join(x.dir, "key.txt"))
	x.must(err)
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	x.must(err)
	var h collect.Header
	inerttest.Fill(&h, "header", x.text)
	h.Host, h.Level, h.Notes = x.shown("bundle's host"), "", map[string]string{x.text("note name"): x.text("note")}
	w, err := collect.NewWriter(to, []age.Recipient{id.Recipient()}, h)
	x.must(err)
	defer w.Abort()
	state := "/home/claw/.openclaw/"
	put := func(name, content string) {
		_, err := w.AddFile(collect.Meta{Path: name, Source: x.text("source"), Note: x.text("remark")}, strings.NewReader(content), int64(len(content)))
		x.must(err)
	}
	put(state+"openclaw.json", `{"gateway":{"port":18789},"meta":{"lastTouchedVersion":`+quotedText(x.text("sealed version"))+`}}`)
	put(state+"agents/main/sessions/"+x.name("sealed session")+".jsonl", `{"type":"message","id":"1","timestamp":"2026-11-29T09:00:00.000Z","message":{"role":"user","content":`+quotedText(x.shown("sealed message"))+"}}\n")
	put("live/processes.jsonl", `{"record":"process","pid":7,"comm":`+quotedText(x.text("sealed process"))+`,"argv":[`+quotedText(x.text("sealed argument"))+"]}\n")
	put("live/"+x.name("live file"), x.text("live text"))
	_, err = w.AddLink(collect.Meta{Path: state + x.name("sealed link"), Link: noNUL(x.text("sealed target"))})
	x.must(err)
	var r collect.Row
	inerttest.Fill(&r.Meta, "row", x.text)
	r.Path, r.Link, r.Status, r.Reason = state+x.name("row"), noNUL(r.Link), collect.Unreadable, x.shown("row reason")
	x.must(w.Record(r))
	sum, err := w.Close(func() []byte { return []byte(x.text("sealed log")) })
	x.must(err)
	return sum
}

// A hostileStore is what a person may be told to send evidence to, or to get it from: by S3, where the bucket "listed" holds the forged
// snapshots, or by SFTP.
type hostileStore struct {
	dir                                      string // of the forged snapshots
	key, elsewhere, request, message, answer string
}

// servers start what names in capitals stand for.
func (x *inertRun) servers() {
	t := x.planting.t
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	h := &hostileStore{
		filepath.Join(x.dir, "DIR/chain"), x.shown("key in a store") + collect.BundleSuffix, x.shown("key elsewhere") + collect.BundleSuffix + collect.SealSuffix,
		x.text("request id"), x.shown("store's message"), x.shown("server's answer"),
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	addr, hostKey := storetest.ServeSFTP(t, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h})
	closed, closedKey := x.closed()
	storetest.WriteKey(t, filepath.Join(x.dir, "ssh.key"))
	x.places = []string{
		"STORED", "s3://bucket/x/B.tar.zst.age?endpoint=" + s.URL, "STORE", "s3://bucket/x?endpoint=" + s.URL, "LISTED", "s3://listed/x?endpoint=" + s.URL,
		"CLOSEDKEY", closedKey, "CLOSED", "sftp://ir@" + closed + "/in", "LEAVER", "sftp://ir@" + x.leaver() + "/in",
		"SFTP", "sftp://ir@" + addr + "/in", "HOSTKEY", hostKey, "HOOK", x.hook(), "PAGER", x.pager(),
	}
}

// leaver is a server that says what it likes before there is a key, and ends the connection with a reason.
func (x *inertRun) leaver() (addr string) {
	before, version, reason := x.text("server's first lines"), x.text("server's version"), x.shown("server's reason to leave")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	x.must(err)
	storetest.Accept(x.planting.t, l, func(conn net.Conn) {
		defer conn.Close()
		for line := range strings.Lines(strings.ReplaceAll(before, "SSH-", "")) { // a client reads at most 255 bytes of one
			fmt.Fprintf(conn, "%.60s\r\n", line)
		}
		fmt.Fprintf(conn, "SSH-2.0-%.60s\r\n", headerText(version))
		_, _ = conn.Write(disconnect(reason))
		_, _ = io.Copy(io.Discard, conn) // until the other side has read it
	})
	return l.Addr().String()
}

// disconnect is a packet of RFC 4253, 11.1, as it is sent before there are keys.
func disconnect(reason string) []byte {
	payload := append([]byte{1}, ssh.Marshal(struct {
		Code             uint32
		Reason, Language string
	}{2, reason, reason})...)
	padding := 8 - (5+len(payload))%8
	if padding < 4 {
		padding += 8
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	packet = append(packet, byte(padding))
	return append(append(packet, payload...), make([]byte, padding)...)
}

// closed is a server with a banner that lets everybody in, and opens nothing.
func (x *inertRun) closed() (addr, hostKey string) {
	banner, refusal := x.text("server's banner"), x.shown("server's refusal")
	return storetest.ServeSSH(x.planting.t, &ssh.ServerConfig{
		ServerVersion:  "SSH-2.0-" + headerText(x.text("server's own version"))[:100],
		BannerCallback: func(ssh.ConnMetadata) string { return banner },
	}, func(offered ssh.NewChannel) { _ = offered.Reject(ssh.Prohibited, refusal) })
}

func (h *hostileStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, listed := strings.CutPrefix(r.URL.Path, "/listed/")
	switch {
	case listed && r.URL.Query().Has("list-type"):
		h.list(w)
	case listed:
		w.Header().Set("Etag", `"1"`)
		http.ServeFile(w, r, filepath.Join(h.dir, filepath.Base(name)))
	default:
		h.refuse(w)
	}
}

// names are those of what it lists.
func (h *hostileStore) names() []string {
	names := []string{h.key, h.elsewhere}
	files, _ := filepath.Glob(h.dir + "/*")
	for _, name := range files {
		names = append(names, filepath.Base(name))
	}
	return names
}

// list writes names as they stand in an address, for XML has no way to write most of these.
func (h *hostileStore) list(w io.Writer) {
	fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>`)
	for _, name := range h.names() {
		fmt.Fprintf(w, `<Contents><Key>%s</Key><Size>7</Size><LastModified>2026-11-29T10:00:00.000Z</LastModified><ETag>"1"</ETag></Contents>`, url.QueryEscape("x/"+name))
	}
	fmt.Fprint(w, "</ListBucketResult>")
}

// refuse says what an error of a store can say.
func (h *hostileStore) refuse(w http.ResponseWriter) {
	w.Header().Set("X-Amz-Request-Id", headerText(h.request))
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>&#x202e;&#x85;`+strings.Repeat("x&#x301;", 3)+`at_store_code</Code><Message>`)
	_ = xml.EscapeText(w, []byte(h.message))
	fmt.Fprint(w, "</Message></Error>")
}

// headerText is a text without what Go takes in no header.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

func (h *hostileStore) said() error { return errors.New(h.answer) }

func (h *hostileStore) Fileread(*sftp.Request) (io.ReaderAt, error)  { return nil, h.said() }
func (h *hostileStore) Filewrite(*sftp.Request) (io.WriterAt, error) { return nil, h.said() }
func (h *hostileStore) Filecmd(*sftp.Request) error                  { return h.said() }

func (h *hostileStore) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if r.Method != "List" {
		return nil, h.said()
	}
	return files(h.names()), nil
}

// files are what a server lists.
type files []string

func (f files) ListAt(to []os.FileInfo, off int64) (n int, err error) {
	for n < len(to) && int(off)+n < len(f) {
		to[n] = named(f[int(off)+n])
		n++
	}
	if n < len(to) {
		err = io.EOF
	}
	return n, err
}

// A named is a file of which nothing but the name matters.
type named string

func (n named) Name() string     { return string(n) }
func (named) Size() int64        { return 7 }
func (named) Mode() os.FileMode  { return 0o600 }
func (named) ModTime() time.Time { return time.Unix(0, 0) }
func (named) IsDir() bool        { return false }
func (named) Sys() any           { return nil }

// hook is a web address whose server shows a certificate of its own making.
func (x *inertRun) hook() string {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	x.must(err)
	name := strings.ToValidUTF8(x.text("certificate"), "?")
	ascii := strings.Map(func(r rune) rune {
		if r > 0x7f {
			return -1
		}
		return r
	}, x.shown("certified name"))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{ascii}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	x.must(err)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}
	s.StartTLS()
	x.planting.t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + "/hook" // for another name than the certified one
}

// pager is a program that fails, and says why.
func (x *inertRun) pager() string {
	x.planting.write(filepath.Join(x.dir, "said"), x.shown("program's answer"))
	x.planting.write(filepath.Join(x.dir, "page"), "cat "+filepath.Join(x.dir, "said")+" >&2; exit 1\n")
	return "sh " + filepath.Join(x.dir, "page")
}
