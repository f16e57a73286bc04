package casefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// Head returns the digest of the last whole line of the custody log, and how
// many whole lines there are. Kept elsewhere, it shows later that no line up to
// there was changed or cut off (see [Head] and [VerifyCustody]).
func (c *Case) Head() (hash string, lines int, err error) {
	err = c.readLog(func(r io.Reader) error {
		hash, lines, err = head(r)
		return err
	})
	if err != nil {
		return "", 0, fmt.Errorf("reading the custody log: %w", err)
	}
	return hash, lines, nil
}

func head(r io.Reader) (hash string, lines int, err error) {
	in := &io.LimitedReader{R: r, N: custodyLimit + 1}
	buf := bufio.NewReaderSize(in, 64<<10)
	hash = genesis
	for {
		_, sum, err := readLine(buf)
		switch {
		case in.N == 0:
			return "", 0, fmt.Errorf("larger than %d bytes", custodyLimit)
		case errors.Is(err, io.EOF):
			return hash, lines, nil
		case err != nil:
			return "", 0, err
		}
		hash = sum
		lines++
	}
}

// Verify checks the case's custody log: see [VerifyCustody].
func (c *Case) Verify(known ...Head) (Report, error) {
	var report Report
	err := c.readLog(func(r io.Reader) (err error) {
		report, err = verifyCustody(r, known)
		return err
	})
	if err != nil {
		return Report{}, fmt.Errorf("verifying the custody log: %w", err)
	}
	return report, nil
}

// A Line is one line of a custody log, as it stands there.
type Line struct {
	Number int    // from 1
	SHA256 string // of the line and its newline, in hex
	Entry  *Entry // nil if it is damaged: cut short, or no entry
}

// Lines returns the lines of the custody log as it is when the loop begins, damaged ones too. Whether they are the ones that were
// written says only [Case.Verify]. An error ends the loop.
func (c *Case) Lines() iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		err := c.readLog(func(r io.Reader) error {
			for line, err := range lines(r) {
				if err != nil {
					return err
				}
				if !yield(line, nil) {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield(Line{}, fmt.Errorf("reading the custody log: %w", err))
		}
	}
}

func lines(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := &io.LimitedReader{R: r, N: custodyLimit + 1}
		buf := bufio.NewReaderSize(in, 64<<10)
		for n := 1; ; n++ {
			text, sum, err := readLine(buf)
			if in.N == 0 {
				yield(Line{}, fmt.Errorf("larger than %d bytes", custodyLimit))
				return
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Line{}, err)
				return
			}
			if err != nil && len(text) == 0 {
				return
			}
			line := Line{Number: n, SHA256: sum}
			if e, derr := decode(text); derr == nil && err == nil {
				line.Entry = &e
			}
			if !yield(line, nil) || err != nil {
				return
			}
		}
	}
}

// readLog lets f read the log as it is now. Others go on appending meanwhile: what is there never changes, and the lock, held while
// the size is looked at, makes that the end of a line.
func (c *Case) readLog(f func(io.Reader) error) error {
	unlock, err := lockShared(c.root, custodyLock, lockWait)
	if err != nil {
		return err
	}
	file, err := openRegular(c.root, custodyName, os.O_RDONLY)
	if err != nil {
		unlock()
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	unlock()
	if err != nil {
		return err
	}
	return f(io.LimitReader(file, info.Size()))
}
