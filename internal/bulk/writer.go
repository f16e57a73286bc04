package bulk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	batchBytes     = 5_000_000 // before compression
	batchDocuments = 1000
	// patience is the wait after the first failure, which doubles with each: about half a minute in all.
	patience = 500 * time.Millisecond
	attempts = 7
	// answerTime is how long the store may take for one batch.
	answerTime = 2 * time.Minute
	maxReasons = 20
)

// Options say how to send. The zero value works.
type Options struct {
	Credentials Credentials
	DryRun      bool              // send nothing, and only count
	Patience    time.Duration     // the wait after the first failure, half a second if 0
	Transport   http.RoundTripper // http.DefaultTransport if nil
	Sent        func(int64)       // told how many bytes more the store has had, before compression
}

// A Result says what became of the documents.
type Result struct {
	Created  int64    `json:"created"`
	Existing int64    `json:"existing"` // were there under the same id
	Refused  int64    `json:"refused"`
	Reasons  []Reason `json:"reasons,omitempty"`
	Unsent   int64    `json:"unsent"` // with DryRun all; otherwise those of the batch at which it ended
	Batches  int64    `json:"batches"`
	Bytes    int64    `json:"bytes"` // before compression
}

// A Reason is why the store refused some documents. Its text is the store's: it may be hostile.
type Reason struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Text   string `json:"text"` // of the first
	Count  int64  `json:"count"`
}

// A Writer sends documents in batches. It is used by one goroutine at a time.
type Writer struct {
	to     Address
	o      Options
	client *http.Client
	batch  []item
	bytes  int
	result Result
}

// item is a document as it is sent: the line that says what to do with it, and its own.
type item struct{ lines []byte }

// New returns a Writer. It contacts nothing.
func New(to Address, o Options) *Writer {
	if o.Patience == 0 {
		o.Patience = patience
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Sent == nil {
		o.Sent = func(int64) {}
	}
	client := &http.Client{
		Transport: o.Transport, Timeout: answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Writer{to: to, o: o, client: client}
}

// Create adds a document, which must encode as a JSON object, and sends what has gathered if that is enough.
func (w *Writer) Create(ctx context.Context, id string, doc any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	action := map[string]any{"create": map[string]string{"_index": w.to.Index, "_id": id}}
	for _, v := range []any{action, doc} {
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("encoding a document: %w", err)
		}
	}
	if len(w.batch) == batchDocuments || len(w.batch) > 0 && w.bytes+b.Len() > batchBytes {
		if err := w.Flush(ctx); err != nil {
			return err
		}
	}
	w.batch = append(w.batch, item{b.Bytes()})
	w.bytes += b.Len()
	return nil
}

// Flush sends what has gathered.
func (w *Writer) Flush(ctx context.Context) error {
	batch := w.batch
	w.batch, w.bytes = nil, 0
	if len(batch) == 0 {
		return nil
	}
	w.result.Batches++
	for _, i := range batch {
		w.result.Bytes += int64(len(i.lines))
	}
	if w.o.DryRun {
		w.result.Unsent += int64(len(batch))
		return nil
	}
	return w.send(ctx, batch)
}

// Result says what became of the documents so far.
func (w *Writer) Result() Result { return w.result }

func (w *Writer) refuse(n int64, status int, kind, text string) {
	w.result.Refused += n
	for i := range w.result.Reasons {
		if r := &w.result.Reasons[i]; r.Status == status && r.Type == kind {
			r.Count += n
			return
		}
	}
	if len(w.result.Reasons) < maxReasons {
		w.result.Reasons = append(w.result.Reasons, Reason{status, kind, text, n})
	}
}
