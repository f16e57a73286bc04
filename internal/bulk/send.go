package bulk

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// An Error is why a store could not be used at all.
type Error struct {
	Status    int  // of HTTP; 0 if there was no answer
	Untrusted bool // its certificate is not that of an authority which this machine trusts
	err       error
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// errTooLarge is the answer to a batch that must be sent in smaller parts.
var errTooLarge = errors.New("the store takes no request of this size")

// passing is a failure that may be over when it is tried again.
type passing struct {
	error
	after time.Duration // the store asks to wait so long; 0 if it does not
}

// send sends a batch until the store has answered for each document of it, or has failed too often.
func (w *Writer) send(ctx context.Context, batch []item) error {
	wait := w.o.Patience
	for n := 1; len(batch) > 0; n++ {
		again, err := w.try(ctx, batch)
		var soon passing
		switch {
		case errors.Is(err, errTooLarge) && len(batch) > 1:
			return w.halves(ctx, batch)
		case errors.Is(err, errTooLarge):
			w.refuse(1, http.StatusRequestEntityTooLarge, "too large", err.Error())
			return nil
		case ctx.Err() != nil:
			w.result.Unsent += int64(len(batch))
			return context.Cause(ctx)
		case err != nil && !errors.As(err, &soon):
			w.result.Unsent += int64(len(batch))
			return err
		case len(again) == 0 && err == nil:
			return nil
		case n == attempts:
			return w.giveUp(again, err)
		}
		batch = again
		if err := pause(ctx, max(wait, soon.after)); err != nil {
			w.result.Unsent += int64(len(batch))
			return err
		}
		wait *= 2
	}
	return nil
}

// giveUp ends the trying. What the store answered for is refused; a store that did not answer is not tried with the next batch.
func (w *Writer) giveUp(batch []item, err error) error {
	if err == nil {
		w.refuse(int64(len(batch)), http.StatusTooManyRequests, "busy", fmt.Sprintf("the store was too busy, %d times", attempts))
		return nil
	}
	w.result.Unsent += int64(len(batch))
	return fmt.Errorf("%w (tried %d times)", err, attempts)
}

func (w *Writer) halves(ctx context.Context, batch []item) error {
	half := len(batch) / 2
	if err := w.send(ctx, batch[:half]); err != nil {
		w.result.Unsent += int64(len(batch) - half)
		return err
	}
	return w.send(ctx, batch[half:])
}

func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(wait/2 + rand.N(wait/2+1)): // not all hosts at the same moment
		return nil
	}
}

// try sends a batch once and returns what is to be sent again.
func (w *Writer) try(ctx context.Context, batch []item) (again []item, err error) {
	request, size, err := w.request(ctx, batch)
	if err != nil {
		return nil, err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return batch, w.unreached(err)
	}
	defer response.Body.Close()
	if err := w.refused(response); err != nil {
		return batch, err
	}
	var a answer
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil { // what it took it will say it has when it is sent again
		return batch, passing{&Error{err: fmt.Errorf("reading the answer of %s: %w", w.to, err)}, 0}
	}
	if json.Unmarshal(text, &a) != nil || len(a.Items) != len(batch) {
		return batch, &Error{Status: response.StatusCode, err: fmt.Errorf("%s does not answer as a bulk interface does: it is not known what it took", w.to)}
	}
	w.o.Sent(size)
	return w.account(batch, a), nil
}

// unreached is why there was no answer. A certificate that is not to be trusted is not to be trusted at the next try either.
func (w *Writer) unreached(err error) error {
	if with := (*url.Error)(nil); errors.As(err, &with) {
		err = with.Err // without the address, whose query is the user's own
	}
	told := &Error{err: fmt.Errorf("sending to %s: %w", w.to, err)}
	if untrusted := (*tls.CertificateVerificationError)(nil); errors.As(err, &untrusted) {
		told.Untrusted = true
		return told
	}
	return passing{told, 0}
}

func (w *Writer) request(ctx context.Context, batch []item) (*http.Request, int64, error) {
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	var size int64
	for _, i := range batch {
		size += int64(len(i.lines))
		if _, err := zip.Write(i.lines); err != nil {
			return nil, 0, fmt.Errorf("compressing a batch: %w", err)
		}
	}
	if err := zip.Close(); err != nil {
		return nil, 0, fmt.Errorf("compressing a batch: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.to.url.String(), &body)
	if err != nil {
		return nil, 0, fmt.Errorf("sending to %s: %w", w.to, err)
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("Content-Encoding", "gzip")
	request.Header.Set("User-Agent", "openclaw-ir")
	w.o.Credentials.set(request)
	return request, size, nil
}

// maxWait bounds how long a store may ask us to wait.
const maxWait = time.Minute

// refused is why a whole request was not taken; nil if it was.
func (w *Writer) refused(r *http.Response) error {
	told := &Error{Status: r.StatusCode, err: fmt.Errorf("%s answers %d %s", w.to, r.StatusCode, http.StatusText(r.StatusCode))}
	switch {
	case r.StatusCode == http.StatusOK:
		return nil
	case r.StatusCode == http.StatusRequestEntityTooLarge:
		return errTooLarge
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode >= 500:
		seconds, _ := strconv.Atoi(r.Header.Get("Retry-After"))
		return passing{told, min(time.Duration(max(seconds, 0))*time.Second, maxWait)}
	case r.StatusCode >= 300 && r.StatusCode < 400:
		told.err = fmt.Errorf("%w: it sends us elsewhere, where we do not go", told.err)
	}
	return told
}

// maxAnswer bounds an answer to one batch, in bytes.
const maxAnswer = 32 << 20

type answer struct {
	Items []map[string]struct {
		Status int
		Error  *struct{ Type, Reason string }
	}
}

// maxReasonText is how much of a store's reason, and of its type, is kept, in bytes.
const maxReasonText = 300

func head(s string) string { return s[:min(len(s), maxReasonText)] }

// account counts what the store says of each document, and returns those that it was too busy for.
func (w *Writer) account(batch []item, a answer) (again []item) {
	for i, said := range a.Items {
		one := said["create"]
		switch {
		case one.Status == http.StatusConflict:
			w.result.Existing++
		case one.Status >= 200 && one.Status < 300:
			w.result.Created++
		case one.Status == http.StatusTooManyRequests, one.Status >= 500:
			again = append(again, batch[i])
		case one.Error != nil:
			w.refuse(1, one.Status, head(one.Error.Type), head(one.Error.Reason))
		default:
			w.refuse(1, one.Status, "", "the store does not say why")
		}
	}
	return again
}
