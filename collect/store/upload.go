package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/casefile"
)

// ErrBusy says that another process is uploading what the case owes.
var ErrBusy = errors.New("another process is uploading what this case owes")

const (
	actionUpload = "upload"
	uploadLock   = "uploading.lock"
)

// A Result is what became of a file that was owed.
type Result struct {
	Owed
	Where string // the address that it has, or was to have
	Err   error  // nil if it is stored
	// Final is set when trying again would not help, so that it is owed no longer.
	Final bool
}

// Pay stores what a case owes, and appends a line for each file to the custody log before it tells. The seal of a bundle comes after
// it. Where a store cannot be reached, or does not take a file, what else is owed to it waits for the next time; other stores get theirs.
// The error is not nil only if the case cannot be written, or ctx ended.
func Pay(ctx context.Context, cs *casefile.Case, o Options, tell func(Result)) error {
	unlock, err := cs.Lock(uploadLock, 0)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrBusy, err)
	}
	defer unlock()
	owed, err := ListOwed(cs)
	if err != nil {
		return err
	}
	p := &payment{cs: cs, o: o, tell: tell}
	for len(owed) > 0 {
		var same, others []Owed
		for _, f := range owed {
			if f.Destination == owed[0].Destination {
				same = append(same, f)
			} else {
				others = append(others, f)
			}
		}
		if err := p.pay(ctx, same); err != nil {
			return err
		}
		owed = others
	}
	return nil
}

type payment struct {
	cs   *casefile.Case
	o    Options
	tell func(Result)
}

// pay stores what is owed to one destination, until something fails.
func (p *payment) pay(ctx context.Context, files []Owed) error {
	d, o := files[0].Destination, p.o
	o.HostKey, o.SSHKey, o.Lock, o.Memory = d.HostKey, d.SSHKey, Lock{d.LockDays, d.Governance}, caseMemory{p.cs}
	s, err := Open(ctx, d.To, o)
	if err != nil {
		return p.stop(ctx, d.To, files, err)
	}
	defer s.Close()
	for i, f := range files {
		err := p.store(ctx, s, f)
		if err != nil && !lost(err) {
			return p.stop(ctx, s.String(), files[i:], err)
		}
		if err := p.settle(Result{Owed: f, Where: where(s.String(), f.Name), Err: err, Final: err != nil}); err != nil {
			return err
		}
	}
	return nil
}

// lost reports whether a file can never be stored: it is not there any more, not what was sealed, or something else has its name.
func lost(err error) bool {
	return errors.Is(err, ErrExists) || errors.Is(err, ErrChanged) || errors.Is(err, errNoFile)
}

var errNoFile = errors.New("the file is gone")

func (p *payment) store(ctx context.Context, s Store, f Owed) error {
	file, err := p.open(f.File)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("storing %q: %w: %q", f.Name, errNoFile, f.File)
	}
	if err != nil {
		return fmt.Errorf("storing %q: %w", f.Name, err)
	}
	defer file.Close()
	return s.Put(ctx, f.Name, file, f.Size, f.SHA256)
}

func (p *payment) open(name string) (*os.File, error) {
	if filepath.IsAbs(name) {
		return openRegular(name)
	}
	return p.cs.Root().Open(name)
}

// openRegular opens a file that is no pipe, which would be waited for.
func openRegular(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("opening %q: %w", name, errNoFile)
	}
	return f, nil
}

// settle records what became of a file that is owed no longer.
func (p *payment) settle(r Result) error {
	result, note := "stored", "as "+r.To // which names the endpoint of a bucket too
	if r.Err != nil {
		result, note = "not stored", r.Err.Error()
	}
	err := p.cs.Append(casefile.Entry{
		Action: actionUpload, Object: r.Where, Result: result, Note: note, Digests: []casefile.Digest{{Name: r.Name, SHA256: r.SHA256}},
	})
	if err == nil {
		err = settle(p.cs, r.Owed)
	}
	if err == nil {
		p.tell(r)
	}
	return err
}

// stop records that a store took no more. What it is owed stays owed.
func (p *payment) stop(ctx context.Context, address string, files []Owed, err error) error {
	aerr := p.cs.Append(casefile.Entry{
		Action: actionUpload, Object: where(address, files[0].Name), Result: "failed", Note: fmt.Sprintf("%d still owed: %v", len(files), err),
	})
	for _, f := range files {
		p.tell(Result{Owed: f, Where: where(address, f.Name), Err: err})
	}
	return errors.Join(aerr, ctx.Err())
}

// where is the address of a file in a store.
func where(address, name string) string {
	if address == "" || address[len(address)-1] == '/' {
		return address + name
	}
	return address + "/" + name
}
