package openclaw

import (
	"bytes"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/klauspost/compress/zstd"
)

// FuzzFind puts any text where the config, a unit, an environment and the index of sessions are. Whatever they
// say, Find ends, and nothing it names lies outside the places they may name.
func FuzzFind(f *testing.F) {
	f.Add(config, "[Service]\nEnvironment=\"OPENCLAW_STATE_DIR=/home/claw/.openclaw\"\n", "OPENCLAW_HOME=~\x00HOME=/home/claw", `{"agent:main:main":{"sessionId":"x"}}`)
	f.Add(`{$include:['openclaw.json','../x','a.json'],agents:{entries:{'../x':{workspace:7}}},logging:{file:'~'}}`, "Environment=OPENCLAW_GATEWAY_PORT=99999\n[Container]\nVolume=/:/\nVolume=a:b:c\nEnvironment='", "OPENCLAW_PROFILE=../..\x00HOME=/home/claw", "[")
	f.Add("{a:{$include:'\\u0000'}}", "<key>HOME</key><string>&#x2f;</string><key>UserName</key><string>claw</string>", "OPENCLAW_CONFIG_PATH=/\x00HOME=/home/claw", "{}")
	f.Fuzz(func(t *testing.T, config, unit, environ, index string) {
		fsys := hostFS(
			"home/claw/.openclaw/openclaw.json", config, "home/claw/.openclaw/a.json", config, "home/claw/.openclaw/agents/main/sessions/sessions.json", index,
			"home/claw/.config/systemd/user/openclaw.service", unit, "Library/LaunchAgents/openclaw.plist", unit, "etc/containers/systemd/openclaw.container", unit,
			"proc/7/environ", environ)
		installs, _ := Find(fsys, FindOptions{})
		for _, in := range installs {
			for _, file := range in.Config.Files {
				if dir := in.ConfigPath[:strings.LastIndexByte(in.ConfigPath, '/')+1]; !strings.HasPrefix(file, dir) {
					t.Errorf("config %q includes %q", in.ConfigPath, file)
				}
			}
			for _, a := range in.Agents {
				if !strings.HasPrefix(a.Sessions, path.Join(in.StateDir, "agents")+"/") {
					t.Errorf("agent %q has its sessions in %q", a.ID, a.Sessions)
				}
			}
			if in.Port < 0 || in.Port > 65535 {
				t.Errorf("port %d", in.Port)
			}
			in.Transcripts(fsys)
			in.Logs(fsys)
			in.Sessions(t.Context(), fsys)
		}
	})
}

// FuzzSources reads a transcript as each of its forms has it, plain and packed. Every byte is handed on in its order or counted as passed
// over, and what ends the text early is a gap.
func FuzzSources(f *testing.F) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	const line = `{"type":"session","id":"s","timestamp":"2026-11-22T08:00:00.000Z"}` + "\n"
	packed := enc.EncodeAll([]byte(strings.Repeat(line, 100)), nil)
	f.Add([]byte(line+line), uint8(FormJSONL), false)
	f.Add(packed, uint8(FormDeleted), true)
	f.Add(packed[:len(packed)-1], uint8(FormReset), true) // lacks its checksum
	f.Add(append(bytes.Clone(packed), enc.EncodeAll(make([]byte, 1<<20), nil)...), uint8(FormCold), true)
	f.Add([]byte("\x28\xb5\x2f\xfd"), uint8(FormReadCache), true)
	f.Fuzz(func(t *testing.T, file []byte, form uint8, zipped bool) {
		src := Source{Path: "/t", Form: Form(form), Zstd: zipped, Size: int64(len(file))}
		if src.Form == FormSQLite || src.Form == FormTrajectorySQLite || src.Form == FormArchive || src.Form == FormCold && !zipped {
			return
		}
		want, whole := file, true
		if zipped {
			if want, whole = unpacked(file); want == nil {
				return
			}
		}
		var got []byte
		passed, gaps, next := int64(0), 0, int64(1)
		ReadSources(t.Context(), hostFS("t", string(file)), []Source{src}, func(b Batch) bool {
			if len(b.Text) > 0 && b.Line < next {
				t.Errorf("line %d comes after line %d", b.Line, next)
			}
			next = max(next, b.Line+int64(bytes.Count(b.Text, []byte{'\n'})))
			got, passed, gaps = append(got, b.Text...), passed+b.Passed, gaps+len(b.Gaps)
			b.Free()
			return true
		})
		if passed == 0 && string(bytes.TrimRight(got, "\n")) != string(bytes.TrimRight(want, "\n")) || int64(len(got))+passed > int64(len(want))+1 {
			t.Errorf("of %d bytes %d are handed on and %d passed over", len(want), len(got), passed)
		}
		if !whole && gaps == 0 {
			t.Error("the text ends early, and nobody is told")
		}
	})
}

// unpacked is what a zstd file holds, as far as it goes, and whether that is all of it; nil for more than is worth a test's time.
func unpacked(file []byte) (text []byte, whole bool) {
	d, err := zstd.NewReader(bytes.NewReader(file), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(unpackWindow))
	if err != nil {
		return []byte{}, false
	}
	defer d.Close()
	text, err = io.ReadAll(io.LimitReader(lastBlock{d}, jsonl.MaxLine))
	if len(text) == jsonl.MaxLine {
		return nil, false
	}
	return text, err == nil
}

// TestChecksumHidesNothing says that a packed transcript without its checksum, or with a wrong one, is read to its end all the same.
func TestChecksumHidesNothing(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("{\"type\":\"message\"}\n", 1000)
	packed := enc.EncodeAll([]byte(text), nil)
	wrong := bytes.Clone(packed)
	wrong[len(wrong)-1] ^= 1
	for name, file := range map[string][]byte{"cut": packed[:len(packed)-1], "wrong": wrong} {
		got, gaps := 0, 0
		ReadSources(t.Context(), hostFS("t", string(file)), []Source{{Path: "/t", Form: FormDeleted, Zstd: true}}, func(b Batch) bool {
			got, gaps = got+len(b.Text), gaps+len(b.Gaps)
			return true
		})
		if got != len(text) || gaps != 1 {
			t.Errorf("%s: %d of %d bytes, %d gaps", name, got, len(text), gaps)
		}
	}
}

// FuzzSecrets reads a text as every file that holds secrets. What it finds stands in the text, is never empty, and is bounded.
func FuzzSecrets(f *testing.F) {
	for _, s := range []string{
		"TOKEN=FAKE-token-0123456789\nexport A='b c'\n", `{"profiles":{"anthropic:x":{"key":"sk-ant-FAKE-0123456789"}}}`, "[default]\naws_secret_access_key = FAKEfakeFAKEfake0123\n",
		"machine h login u password FAKE-password-1 machine", "h:5432:*:u:pa\\:ss\\\\w", "https://u:FAKE-pass-123@h/x\nhttps://token@h", "github.com:\n  - oauth_token: 'gho_FAKE'\n",
		`{"auths":{"r":{"auth":"dXNlcjpwYXNzd29yZA=="}}}`, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "Environment=\"A_TOKEN=x y\" B_KEY=z\\\n more",
		"<key>OPENCLAW_GATEWAY_TOKEN</key><string>FAKE&amp;x</string>", "{\"botToken\":\"12345:AAFAKE",
	} {
		f.Add([]byte(s))
	}
	type reader struct {
		name string
		read func(*secretReader, string, []byte)
	}
	readers := []reader{{"/h/.config/systemd/user/x.service", (*secretReader).unitText}, {"/h/x.db", func(r *secretReader, _ string, text []byte) { r.text(string(text)) }}}
	for _, s := range secretFiles {
		if s.read != nil {
			readers = append(readers, reader{strings.ReplaceAll(s.path, "~", "/h"), s.read})
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, x := range readers {
			held := 0
			r := &secretReader{yield: func(h HeldSecret) {
				held++
				if h.Value == "" || h.Value != strings.TrimSpace(h.Value) || len(h.Value) > 3*len(text) {
					t.Errorf("%s: %q of %d bytes", x.name, h.Value, len(text))
				}
				_ = h.String()
			}}
			x.read(r, x.name, text)
			if held > len(text) || held > maxHeld {
				t.Errorf("%s: %d secrets in %d bytes", x.name, held, len(text))
			}
		}
	})
}
