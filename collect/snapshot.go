package collect

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// DefaultEveryFull is after how many links a snapshot is full by itself: a week of hours.
const DefaultEveryFull = 24 * 7

// SnapshotOptions say how a snapshot is taken. Recipients are needed.
type SnapshotOptions struct {
	Options
	Recipients []Recipient
	Header     Header // Case and Started are set by the snapshot
	// Full takes everything. EveryFull makes every so manieth link a full one; 0 for DefaultEveryFull.
	Full      bool
	EveryFull int
	// Wait is how long to wait for another snapshot of the case to end.
	Wait time.Duration
	disk disk // nil for the case's own
}

// A Snapshot is a link that was added to a chain.
type Snapshot struct {
	Bundle     string // its file, in the case's directory of bundles
	SealSHA256 string
	Seal       []byte
	Link       Link
	Summary    Summary
	Outcome    Outcome
}

// snapshotLock is held while a case's snapshots change.
const snapshotLock = "snapshots.lock"

// ErrBusy says that another snapshot of the case is being taken.
var ErrBusy = errors.New("another snapshot of this case is being taken")

// TakeSnapshot adds a link to the chain of snapshots that a case keeps: what changed on the host since the link before, or all of it.
// The chain is valid whenever it stops: the seal, which makes a bundle part of the chain, is written when the bundle is on the disk,
// and the index of what the chain holds gets its name after the seal. An index that does not fit the last seal is not used, and the
// link is full.
//
// What it found of the past that is other than it was sealed is in the Outcome's Alarms, in the manifest and in the custody log.
func TakeSnapshot(ctx context.Context, cs *casefile.Case, root *host.Root, run host.Runner, installs []*openclaw.Installation, gaps []openclaw.Gap, o SnapshotOptions) (*Snapshot, error) {
	unlock, err := cs.Lock(snapshotLock, o.Wait)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	s := &snapshot{ctx: ctx, cs: cs, o: o, disk: o.disk, started: time.Now()}
	if s.disk == nil {
		s.disk = caseDisk{cs}
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	defer s.close()
	err = s.write(root, run, installs, gaps)
	if err == nil {
		err = s.commit()
	}
	if err != nil {
		return nil, s.failed(err)
	}
	return &s.made, s.record()
}

type snapshot struct {
	ctx     context.Context
	cs      *casefile.Case
	o       SnapshotOptions
	disk    disk
	started time.Time
	key     []byte
	head    chainHead
	full    bool
	name    string
	custody int64 // bytes of the custody log that are in the chain
	past    *past
	index   diskFile
	made    Snapshot
}

// indexName is where a case keeps what its chain holds.
const indexName = "snapshots.index"

// prepare finds the end of the chain and decides what the next link is.
func (s *snapshot) prepare() error {
	var err error
	if s.key, err = s.cs.Salt(); err != nil {
		return err
	}
	if err := s.tidy(); err != nil {
		return err
	}
	if s.head, err = findHead(s.cs, s.key); err != nil {
		return err
	}
	every := s.o.EveryFull
	if every <= 0 {
		every = DefaultEveryFull
	}
	old := s.head.index
	s.full = s.o.Full || old == nil || !s.head.fits || s.head.number+1-old.Full >= every
	s.made.Link = Link{Chain: s.head.chain, Number: s.head.number + 1, Full: s.full}
	if s.made.Link.Chain == "" {
		s.made.Link.Chain = rand.Text()
	}
	host := s.o.Header.Host
	s.name = fmt.Sprintf("%s-%06d%s", BundleStem(host, s.started), s.made.Link.Number, BundleSuffix)
	s.made.Bundle = s.name
	return nil
}

func (s *snapshot) close() {
	if s.index != nil {
		s.index.Close()
	}
	s.head.close()
}

// write writes the bundle, and the index beside it, under names that mean nothing yet.
func (s *snapshot) write(root *host.Root, run host.Runner, installs []*openclaw.Installation, gaps []openclaw.Gap) error {
	out, err := s.disk.create(bundlePath(s.name) + partialSuffix)
	if err != nil {
		return err
	}
	defer out.Close()
	if s.index, err = s.disk.create(indexName + partialSuffix); err != nil {
		return err
	}
	to := bufio.NewWriterSize(out, 256<<10)
	h := s.o.Header
	h.Case, h.Started = s.cs.Name(), s.started.UTC()
	w, err := NewWriter(to, AgeRecipients(s.o.Recipients), h)
	if err != nil {
		return err
	}
	defer w.Abort()
	s.past = newPast(s.key, s.made.Link.Number, s.full, s.head.index, newIndexWriter(s.index, s.key), s.started)
	if err := s.collect(w, root, run, installs, gaps); err != nil {
		return err
	}
	s.notes(w)
	if s.made.Summary, err = w.Close(s.log); err != nil {
		return err
	}
	return errors.Join(to.Flush(), out.Sync(), out.Close())
}

func (s *snapshot) collect(w *Writer, root *host.Root, run host.Runner, installs []*openclaw.Installation, gaps []openclaw.Gap) error {
	o := s.o.Options
	o.Set = secret.NewSet(secret.NewFingerprinter(s.key))
	o.Exclude = append(o.Exclude, filepath.Dir(s.cs.Path()))
	o.past = s.past
	var err error
	s.made.Outcome, err = Run(s.ctx, root, run, installs, gaps, w, o)
	s.made.Outcome.Alarms = append(s.head.alarms, s.made.Outcome.Alarms...)
	s.made.Link.State = stateOf(s.past.next)
	return err
}

// maxNoted is how many alarms the manifest's first line holds. All have a row.
const maxNoted = 100

// notes puts into the manifest's first line what the rows of a difference do not say.
func (s *snapshot) notes(w *Writer) {
	l, o := s.made.Link, s.made.Outcome
	kind := "incremental: what did not change since the link before has no row"
	if l.Full {
		kind = "full"
	}
	w.Note("snapshot", fmt.Sprintf("link %d of chain %s, %s", l.Number, l.Chain, kind))
	w.Note("unchanged", fmt.Sprint(o.Unchanged))
	w.Note("gone", fmt.Sprint(o.Rows[Gone]))
	if u := s.past.undecided; len(u) > 0 {
		w.Note("rows not compared", strings.Join(u[:min(len(u), maxNoted)], "; "))
	}
	if len(o.Alarms) > 0 {
		text, err := json.Marshal(o.Alarms[:min(len(o.Alarms), maxNoted)])
		if err != nil {
			text = []byte(err.Error())
		}
		w.Note("alarms", string(text))
		w.Note("alarms in all", fmt.Sprint(len(o.Alarms)))
	}
}

// maxCustody bounds the part of the custody log that goes into a snapshot, in bytes.
const maxCustody = 64 << 20

// log returns the custody log: of an incremental snapshot, from where the chain has it.
func (s *snapshot) log() []byte {
	f, err := s.cs.Root().Open("custody.jsonl")
	if err == nil {
		defer f.Close()
		from := int64(0)
		if fi, err := f.Stat(); err == nil && !s.full && s.head.index.Custody <= fi.Size() {
			from = s.head.index.Custody
		}
		var text []byte
		if text, err = io.ReadAll(io.NewSectionReader(f, from, maxCustody)); err == nil {
			s.custody = from + int64(len(text))
			return text
		}
	}
	s.made.Outcome.Count(Row{Meta: Meta{Path: "custody.jsonl"}, Status: Unreadable, Reason: err.Error()})
	return []byte("the custody log could not be read: " + err.Error() + "\n")
}

// commit makes the bundle a link of the chain.
func (s *snapshot) commit() error {
	if err := s.sign(); err != nil {
		return err
	}
	x := s.past
	var said []byte
	for d := range x.said {
		said = append(said, d[:]...)
	}
	l := s.made.Link
	full := l.Number
	if !s.full {
		full = s.head.index.Full
	}
	err := x.out.finish(indexHead{
		Chain: l.Chain, Number: l.Number, Full: full, Seal: s.made.SealSHA256, Started: s.started, Custody: s.custody, Said: said, Rows: x.rows,
	})
	if err = errors.Join(err, s.index.Sync()); err != nil {
		return fmt.Errorf("writing the index of what is sealed: %w", err)
	}
	if err := s.disk.rename(bundlePath(s.name)+partialSuffix, bundlePath(s.name)); err != nil {
		return err
	}
	if err := s.disk.write(bundlePath(s.name)+SealSuffix, s.made.Seal); err != nil {
		return err
	}
	// From here on the link is part of the chain. An index that is not replaced makes the next one full.
	return errors.Join(
		s.disk.rename(indexName+partialSuffix, indexName),
		s.disk.write(LastSeal, []byte(s.made.SealSHA256+"\n")))
}

func (s *snapshot) sign() error {
	signer, err := s.cs.Signer()
	if err != nil {
		return err
	}
	head, _, err := s.cs.Head()
	if err != nil {
		return err
	}
	s.made.Seal, err = Seal{
		Bundle: s.name, Ciphertext: s.made.Summary.Ciphertext, ManifestSHA256: s.made.Summary.ManifestSHA256,
		Recipients: Descriptions(s.o.Recipients), Created: time.Now(), Host: s.o.Header.Host, Case: s.cs.Name(),
		CustodyHead: head, PrevSeal: s.head.seal, Tool: s.o.Header.Tool, Link: &s.made.Link,
	}.Sign(signer)
	s.made.SealSHA256 = SealDigest(s.made.Seal)
	return err
}

// failed takes away what was begun and records why. What cannot be taken away now, the next snapshot does.
func (s *snapshot) failed(err error) error {
	for _, name := range []string{bundlePath(s.name) + partialSuffix, indexName + partialSuffix} {
		_ = s.disk.remove(name)
	}
	if _, lerr := s.cs.Root().Lstat(bundlePath(s.name) + SealSuffix); errors.Is(lerr, fs.ErrNotExist) {
		_ = s.disk.remove(bundlePath(s.name))
	}
	err = fmt.Errorf("taking snapshot %d: %w", s.made.Link.Number, err)
	line := casefile.Entry{Action: "snapshot", Object: s.name, Result: "failed", Note: err.Error()}
	if aerr := s.cs.Append(line); aerr != nil {
		err = fmt.Errorf("%w; nor could the custody log be written: %v", err, aerr)
	}
	return err
}

// maxAlarmLines is how many alarms have a line of their own in the custody log.
const maxAlarmLines = 20

// record tells the custody log.
func (s *snapshot) record() error {
	m := &s.made
	result := "sealed"
	if m.Outcome.Partial() {
		result = "sealed in part"
	}
	kind := "incremental"
	if m.Link.Full {
		kind = "full"
	}
	err := s.cs.Append(casefile.Entry{
		Action: "snapshot", Object: s.name, Result: result,
		Note: fmt.Sprintf("link %d, %s, %d bytes, %d alarms", m.Link.Number, kind, m.Summary.Size, len(m.Outcome.Alarms)),
		Digests: []casefile.Digest{
			{Name: bundlePath(s.name), SHA256: m.Summary.SHA256}, {Name: bundlePath(s.name) + SealSuffix, SHA256: m.SealSHA256},
		},
	})
	for _, a := range m.Outcome.Alarms[:min(len(m.Outcome.Alarms), maxAlarmLines)] {
		if err == nil {
			err = s.cs.Append(casefile.Entry{Action: "alarm", Object: a.Path, Result: a.Kind, Note: strings.ToValidUTF8(a.Detail, "?")})
		}
	}
	return err
}
