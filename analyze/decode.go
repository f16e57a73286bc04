package analyze

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"time"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/klauspost/compress/zstd"
)

// An item is one record of a transcript, decoded as far as the timeline needs it. Byte slices point into the
// batch and are good until it is joined.
type item struct {
	line              int64
	session           string
	typ, role, custom string
	parent, cwd       []byte
	time              int64  // ms; 0 if the record bears none
	key, sum          uint64 // hash of the event's id, and of its content
	calls             []call
	results           []outcome
	prompt            *prompt
	text              string // what was said, where that is a kind to show
	textBytes         int64
	digest            string
	outgoing          bool // said by the agent
	usage             modelUse
	model             string
	invalidUTF8       bool
}

// A call is one tool call of a record.
type call struct {
	id, tool string
	args     arguments
	badArgs  bool
	nestedIn string // the indirect call that made it
	started  int64  // ms; 0 if only the record's time is known
	repeated bool   // in a trajectory's snapshot of earlier messages
}

// An outcome is a tool's result.
type outcome struct {
	callID, tool string
	result       Result
	cwd          string
	text         string // what came back, where that is a kind to show
	nested       bool
	repeated     bool
}

// A prompt is a message that the agent answers.
type prompt struct {
	text                              string // its start
	owner                             Owner
	sender, name, channel, provenance string
}

// operatorShell stands for the tool in the record of a command that the operator ran from the agent's prompt
// (role bashExecution); the record holds its result too, and no call id.
const operatorShell = "bashExecution"

// promptStart is how much of a message is looked at to tell who sent it, and resultEnd how much of a result to
// tell how it ended. Bytes.
const (
	promptStart = 4 << 10
	resultEnd   = 200
)

// maxInterned bounds the words a decoder remembers to share their memory.
const maxInterned = 4096

// A decoder turns records into items. It is used by one goroutine at a time.
type decoder struct {
	p        jsonl.Parser
	sub      jsonl.Parser
	zstd     *zstd.Decoder
	seed     maphash.Seed
	want     map[Kind]bool
	digest   bool // compute digests
	text     bool // keep what was said
	interned map[string]string
	msg      message
}

func newDecoder(seed maphash.Seed, want map[Kind]bool, digest bool) (*decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(jsonl.MaxLine+arenaBytes))
	if err != nil {
		return nil, fmt.Errorf("preparing zstd: %w", err)
	}
	return &decoder{
		zstd: z, seed: seed, want: want, digest: digest,
		text: want[KindMessage] || want[KindSession] || want[KindResult], interned: map[string]string{},
	}, nil
}

// intern returns a short word that will come again: a tool's name, a role, a directory.
func (d *decoder) intern(raw []byte) string {
	if len(raw) < 2 {
		return ""
	}
	if s, ok := d.interned[string(raw)]; ok {
		return s
	}
	s := jsonl.Unquote(raw)
	if len(raw) <= 256 && len(d.interned) < maxInterned {
		d.interned[string(raw)] = s
	}
	return s
}

func (d *decoder) word() string { return d.intern(d.p.RawText()) }

// arenaBytes is how much text an arena has room for. What is in it counts towards the limit that guards against a bomb.
const arenaBytes = 2 << 20

// unpack appends a row's JSON text, which its row says is size bytes long, to the arena and returns it. It begins a new
// arena rather than move a full one: others point into it.
func (d *decoder) unpack(frame []byte, size int64, arena *[]byte) ([]byte, error) {
	const slack = 64 // the decoder wants a little more than the text takes
	need := int(min(max(size, 0), jsonl.MaxLine)) + slack
	if cap(*arena)-len(*arena) < need {
		*arena = make([]byte, 0, max(arenaBytes, need))
	}
	start := len(*arena)
	text, err := d.zstd.DecodeAll(frame, *arena)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	*arena = text
	return text[start:], nil
}

var errNotObject = errors.New("not a JSON object")

// item decodes one record.
func (d *decoder) item(data []byte, session string) (item, error) {
	it := item{session: session, invalidUTF8: !utf8.Valid(data)}
	d.p.Reset(data)
	if d.p.Kind() != '{' {
		d.p.Skip()
		if err := d.p.End(); err != nil {
			return it, err
		}
		return it, errNotObject
	}
	id := d.record(&it)
	if err := d.p.End(); err != nil {
		return it, err
	}
	it.sum = maphash.Bytes(d.seed, data)
	it.key = it.sum ^ maphash.String(d.seed, session)
	if len(id) > 2 {
		it.key = d.hash(it.session, id)
	}
	if d.digest {
		sum := sha256.Sum256(data)
		it.digest = hex.EncodeToString(sum[:])
	}
	return it, nil
}

func (d *decoder) hash(session string, id []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	h.WriteString(session)
	h.WriteByte(0)
	h.Write(id)
	return h.Sum64()
}

// record reads the envelope: OpenClaw's {type,id,parentId,timestamp,message}, claude's {type,uuid,parentUuid,
// timestamp,message} and codex's {timestamp,type,payload}; trajectories' {type,ts,data}. It returns the id, raw.
func (d *decoder) record(it *item) (id []byte) {
	p := &d.p
	for name := range p.Members() {
		switch string(name) {
		case "type":
			it.typ = d.word()
		case "id", "uuid":
			id = p.RawText()
		case "parentId", "parentUuid":
			it.parent = p.RawText()
		case "timestamp", "ts":
			d.timestamp(it)
		case "cwd":
			it.cwd = p.RawText()
		case "message", "payload":
			d.message(it)
		case "data":
			d.data(it)
		case "customType":
			it.custom = d.word()
		case "summary":
			if raw := p.RawText(); d.text {
				it.text = jsonl.Unquote(raw)
			}
		}
	}
	return id
}

func (d *decoder) timestamp(it *item) {
	if d.p.Kind() == '"' {
		if ms, ok := parseTime(d.p.RawText()); ok {
			it.time = ms
		}
	} else if ms, ok := d.p.Int(); ok && isMillis(ms) && it.time == 0 {
		it.time = ms
	}
}

// isMillis reports whether a number can be a time: after 1970 and before the year 10000.
func isMillis(n int64) bool { return n > 0 && n < 253_402_300_800_000 }

// parseTime reads a raw RFC 3339 string as milliseconds since 1970.
func parseTime(raw []byte) (int64, bool) {
	if ms, ok := isoMillis(raw); ok {
		return ms, true
	}
	t, err := time.Parse(time.RFC3339Nano, jsonl.Unquote(raw))
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return 0, false
	}
	return t.UnixMilli(), true
}

// isoMillis reads the form that Date.toISOString writes: "2026-11-22T08:14:27.894Z".
func isoMillis(raw []byte) (int64, bool) {
	const layout = `"0000-00-00T00:00:00.000Z"`
	if len(raw) != len(layout) {
		return 0, false
	}
	var f [7]int
	n := 0
	for i, c := range raw {
		switch {
		case layout[i] != '0':
			if c != layout[i] {
				return 0, false
			}
			n += min(1, i)
		case c < '0' || c > '9':
			return 0, false
		default:
			f[n] = f[n]*10 + int(c-'0')
		}
		if n == len(f) {
			break
		}
	}
	year, month, day := f[0], f[1], f[2]
	if year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || f[3] > 23 || f[4] > 59 || f[5] > 59 {
		return 0, false
	}
	return time.Date(year, time.Month(month), day, f[3], f[4], f[5], f[6]*1e6, time.UTC).UnixMilli(), true
}

// data reads what a trajectory event carries: a tool call, its result, or a snapshot of messages.
func (d *decoder) data(it *item) {
	p := &d.p
	var id, args, result []byte
	tool, success, said := "", true, false
	for name := range p.Members() {
		switch string(name) {
		case "toolCallId":
			id = p.RawText()
		case "name":
			tool = d.word()
		case "args":
			args = p.Raw()
		case "success":
			success, said = p.Bool()
		case "result":
			result = p.Raw()
		case "messagesSnapshot":
			d.snapshot(it)
		}
	}
	switch {
	case len(id) <= 2:
	case said || it.typ == "tool.result":
		it.results = append(it.results, d.trajectoryResult(id, tool, result, said && !success))
	default:
		it.calls = append(it.calls, d.call(id, tool, args))
	}
}

func (d *decoder) trajectoryResult(id []byte, tool string, result []byte, failed bool) outcome {
	var det details
	if len(result) > 0 {
		d.sub.Reset(result)
		d.details(&d.sub, &det, 2)
	}
	inner := &det
	if det.inner != nil {
		inner = det.inner
	}
	o := outcome{callID: jsonl.Unquote(id), tool: tool, cwd: inner.cwd, result: inner.result(failed, nil)}
	o.result.Size = int64(len(result))
	return o
}

// snapshot reads the messages that a trajectory repeats: they outlive a deleted transcript.
func (d *decoder) snapshot(it *item) {
	p := &d.p
	all := d.text
	d.text = false
	for range p.Elements() {
		said := item{}
		d.message(&said)
		for _, c := range said.calls {
			c.started, c.repeated = said.time, true
			it.calls = append(it.calls, c)
		}
		for _, o := range said.results {
			o.repeated = true
			it.results = append(it.results, o)
		}
	}
	d.text = all
}

// isTrajectory reports the forms that repeat what transcripts hold, masked more heavily.
func isTrajectory(src *openclaw.Source) bool {
	return src.Form == openclaw.FormTrajectory || src.Form == openclaw.FormTrajectorySQLite
}
