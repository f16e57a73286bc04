package casefile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Head is a point of a custody log that was noted outside it: the digest of its
// line number Lines. Lines of 0 stands for any line with that digest.
type Head struct {
	Hash  string
	Lines int
}

// Report says what a custody log is worth.
type Report struct {
	Lines    int       `json:"lines"` // whole lines
	Head     string    `json:"head"`  // the digest of the last one; 64 zeros if there is none
	Torn     []int     `json:"torn,omitempty"`
	Problems []Problem `json:"problems,omitempty"`
	More     int       `json:"more,omitempty"` // problems beyond those listed
}

// Problem is something in a custody log that does not hold.
type Problem struct {
	Line int    `json:"line"` // from 1; 0 if it is of no line
	What string `json:"what"`
}

// OK reports whether the log is whole. Lines in Torn are no problem: a crash cut
// them short, and the log itself recorded that at the time.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// VerifyCustody reads a custody log and finds every line that was changed,
// removed, moved, repeated or cut short. A change of the last line and lines cut
// off the end show only against a known head: the last line is vouched for by
// nothing else. Memory stays flat whatever is read. That it cannot be read to its end is a problem of it.
func VerifyCustody(r io.Reader, known ...Head) Report {
	report, err := verifyCustody(r, known)
	if err != nil {
		report.Problems = append(report.Problems, Problem{report.Lines + 1, fmt.Sprintf("reading the log: %v", err)})
	}
	return report
}

// verifyCustody is [VerifyCustody] that returns the error of reading.
func verifyCustody(r io.Reader, known []Head) (Report, error) {
	v := verifier{known: known, found: make([]bool, len(known)), prev: genesis, pending: map[int64]string{}}
	in := &io.LimitedReader{R: r, N: custodyLimit + 1}
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		line, sum, err := readLine(lines)
		if in.N == 0 {
			v.problem(v.line+1, "the log is larger than %d bytes and was read no further", custodyLimit)
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			v.finish()
			return v.report, err
		}
		if err != nil {
			if len(line) > 0 {
				v.problem(v.line+1, "cut short: it does not end in a newline")
			}
			break
		}
		v.check(line, sum)
	}
	v.finish()
	return v.report, nil
}

// readLine returns a line without its newline, and the digest of both. Of a line
// over lineLimit it returns the start, which is not a custody entry.
func readLine(r *bufio.Reader) (line []byte, sum string, err error) {
	hash := sha256.New()
	for {
		part, err := r.ReadSlice('\n')
		hash.Write(part)
		if len(line) <= lineLimit {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(line) > lineLimit {
			line = line[:1]
		}
		return bytes.TrimSuffix(line, []byte("\n")), hex.EncodeToString(hash.Sum(nil)), err
	}
}

// verifier follows the chain. After each problem it goes on from the line as it
// is, so that one change is one problem.
type verifier struct {
	report Report
	known  []Head
	found  []bool

	line      int    // the number of the last line, as it stands in the file
	seq       int64  // the number it has or should have
	prev      string // its digest
	whole     Digest // the last line that was an entry
	wholeLine int    // its number in the file; 0 before the first

	pending map[int64]string // the damaged lines up to it, by number, that no entry has explained
}

func (v *verifier) problem(line int, format string, args ...any) {
	const most = 100
	if len(v.report.Problems) == most {
		v.report.More++
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{line, fmt.Sprintf(format, args...)})
}

func (v *verifier) check(line []byte, sum string) {
	v.line++
	e, err := decode(line)
	if err != nil {
		v.addPending(sum)
	} else {
		v.chain(e)
		v.explain(e)
		v.flushPending()
		v.seq = e.Seq
		v.whole, v.wholeLine = Digest{tornName(e.Seq), sum}, v.line
	}
	v.prev = sum
	v.matchKnown(sum)
}

// chain checks that e continues the line before.
func (v *verifier) chain(e Entry) {
	want := v.seq + 1
	switch {
	case e.Seq > want && v.line == 1:
		v.problem(v.line, "the log starts with entry %d: those before it are missing", e.Seq)
	case e.Seq > want:
		v.problem(v.line, "entries %d to %d are missing before it", want, e.Seq-1)
	case e.Seq < want:
		v.problem(v.line, "it is entry %d where %d should be: repeated, or out of order", e.Seq, want)
	case e.Prev != v.prev && v.line == 1:
		v.problem(v.line, "changed: the first entry does not start the chain")
	case e.Prev != v.prev:
		v.problem(v.line-1, "changed: it has not the digest that line %d records", v.line)
		delete(v.pending, v.seq)
	}
}

// explain takes back the damaged lines that e, written after a crash, names. It
// stands in for them in vouching for the line before them.
func (v *verifier) explain(e Entry) {
	if e.Action != actionTorn || len(v.pending) == 0 {
		return
	}
	if v.wholeLine > 0 && !slices.Contains(e.Digests, v.whole) {
		v.problem(v.wholeLine, "changed: it has not the digest that line %d records", v.line)
	}
	for _, d := range e.Digests {
		n := tornLine(d.Name)
		if sum, ok := v.pending[n]; ok && sum == d.SHA256 {
			delete(v.pending, n)
			v.report.Torn = append(v.report.Torn, v.line-int(v.seq+1-n))
		}
	}
}

func (v *verifier) addPending(sum string) {
	if len(v.pending) == runLimit+1 {
		v.flushPending()
	}
	v.seq++
	v.pending[v.seq] = sum
}

// flushPending reports the damaged lines that the entry after them did not
// explain. They are the last ones before the current line.
func (v *verifier) flushPending() {
	for seq := v.seq - runLimit; seq <= v.seq; seq++ {
		if _, ok := v.pending[seq]; ok {
			v.problem(v.line-int(v.seq+1-seq), "not a custody entry")
		}
	}
	clear(v.pending)
}

func (v *verifier) matchKnown(sum string) {
	for i, head := range v.known {
		switch {
		case head.Lines == v.line && head.Hash != sum:
			v.problem(v.line, "changed: it differs from the known head")
			v.found[i] = true
		case head.Hash == sum && (head.Lines == v.line || head.Lines == 0):
			v.found[i] = true
		}
	}
}

func (v *verifier) finish() {
	v.line++ // as if another line had come
	v.flushPending()
	v.line--
	v.report.Lines, v.report.Head = v.line, v.prev
	if v.line == 0 {
		v.problem(0, "the log is empty")
	}
	for i, head := range v.known {
		switch {
		case v.found[i]:
		case head.Lines == 0:
			v.problem(0, "no line has the known digest %q", head.Hash)
		default:
			v.problem(v.line, "the log ends here, but line %d is known: the end was cut off", head.Lines)
		}
	}
	// A damaged line is reported once the entry after it did not explain it.
	slices.SortStableFunc(v.report.Problems, func(a, b Problem) int { return a.Line - b.Line })
}
