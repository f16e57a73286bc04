package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"
)

// bite is how much is read at once, in bytes: a limit on the rate holds over a few of them.
const bite = 32 << 10

// slowly passes r on no faster than the limit, and counts.
func (o Options) slowly(ctx context.Context, r io.Reader, count func(int64)) io.Reader {
	s := &slowReader{ctx: ctx, r: r, count: count}
	if o.Rate > 0 {
		s.limit = rate.NewLimiter(rate.Limit(o.Rate), bite)
	}
	return s
}

type slowReader struct {
	ctx   context.Context
	r     io.Reader
	limit *rate.Limiter // nil for none
	count func(int64)
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.limit == nil {
		if err := s.ctx.Err(); err != nil {
			return 0, err
		}
	} else if p = p[:min(len(p), bite)]; len(p) > 0 {
		if err := s.limit.WaitN(s.ctx, len(p)); err != nil {
			return 0, err
		}
	}
	n, err := s.r.Read(p)
	s.count(int64(n))
	return n, err
}

// contextReader reads until the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// A count tells how far an upload is. What is sent again is taken back first.
type count struct {
	tell func(int64)
	told int64
}

func (c *count) add(n int64) {
	c.told += n
	c.tell(n)
}

// at says that n bytes are there, no more and no fewer.
func (c *count) at(n int64) { c.add(n - c.told) }

const (
	attempts = 6
	// patience is the wait after the first failure, which doubles with each: about 15 s in all. What is still owed then is uploaded by
	// the next run.
	patience = 500 * time.Millisecond
	// stall is how long a connection may take no byte before it counts as cut.
	stall = time.Minute
)

// errFinal ends the trying: the next attempt would fail as this one did.
type errFinal struct{ error }

func (e errFinal) Unwrap() error { return e.error }

// final marks an error as one that trying again does not help; nil stays nil.
func final(err error) error {
	if err == nil {
		return nil
	}
	return errFinal{err}
}

// again tries f until it succeeds, fails for good or has been tried often enough. n counts the attempts from 0.
func (o Options) again(ctx context.Context, f func(ctx context.Context, n int) error) error {
	wait := o.Patience
	for n := 0; ; n++ {
		err := f(ctx, n)
		var last errFinal
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &last):
			return last.error
		case n == attempts-1:
			return fmt.Errorf("%w (tried %d times)", err, attempts)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait/2 + rand.N(wait/2+1)): // not all hosts at the same moment
		}
		wait *= 2
	}
}

var errStalled = fmt.Errorf("the connection took no data for %v", stall)

// watch returns a context that ends when nothing was read for too long from what the function passes on.
func watch(ctx context.Context) (context.Context, func(io.Reader) io.Reader, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stall, func() { cancel(errStalled) })
	stop := func() { timer.Stop(); cancel(nil) }
	return ctx, func(r io.Reader) io.Reader {
		return readFunc(func(p []byte) (int, error) {
			n, err := r.Read(p)
			timer.Reset(stall)
			return n, err
		})
	}, stop
}

// orStalled is err, or that the connection stalled, if that was why.
func orStalled(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
