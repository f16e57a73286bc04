package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// A bucket is a store that speaks S3. What Put asks of it is s3:PutObject alone, and with a lock s3:PutObjectRetention: it looks at
// nothing, so that the host's credentials need neither read, list nor delete.
type bucket struct {
	client *minio.Core
	clock  *clockTransport
	name   string
	prefix string // "" or ends in a slash
	o      Options
}

// checkS3 checks an address s3://bucket[/prefix][?endpoint=URL][&region=NAME].
func checkS3(u *url.URL) error {
	for key := range u.Query() {
		if key != "endpoint" && key != "region" {
			return fmt.Errorf("an S3 address takes ?endpoint= and &region= and no %.40q", key)
		}
	}
	if u.Host == "" || u.Port() != "" || u.Fragment != "" {
		return &Error{errors.New("an S3 address names a bucket"), "write it as s3://bucket/prefix, with ?endpoint=https://… for a store other than Amazon's"}
	}
	if err := s3utils.CheckValidBucketName(u.Host); err != nil {
		return fmt.Errorf("not the name of a bucket: %.80q: %w", u.Host, err)
	}
	if e := u.Query().Get("endpoint"); e != "" {
		_, err := parseEndpoint(e)
		return err
	}
	return nil
}

func parseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, &Error{errors.New("not the endpoint of an S3 store"), "write it as https://host or https://host:port"}
	}
	return u, nil
}

// endpoint is where the requests go: what the address says, else what the environment says as it does to other S3 tools.
func endpoint(u *url.URL, getenv func(string) string) (*url.URL, error) {
	for _, text := range []string{u.Query().Get("endpoint"), getenv("AWS_ENDPOINT_URL_S3"), getenv("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com"} {
		if text != "" {
			return parseEndpoint(text)
		}
	}
	return nil, errors.New("no endpoint")
}

// region is that of the bucket. If nothing says, Amazon is asked; any other store takes the word that it mostly uses.
func region(u *url.URL, getenv func(string) string, amazon bool) string {
	for _, text := range []string{u.Query().Get("region"), getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")} {
		if text != "" {
			return text
		}
	}
	if amazon {
		return ""
	}
	return "us-east-1"
}

func openS3(ctx context.Context, u *url.URL, o Options) (Store, error) {
	at, err := endpoint(u, o.Getenv)
	if err != nil {
		return nil, err
	}
	keys, err := keysFor(ctx, o)
	if err != nil {
		return nil, err
	}
	secure := at.Scheme == "https"
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	clock := &clockTransport{next: transport}
	client, err := minio.NewCore(at.Host, &minio.Options{
		Creds: keys, Secure: secure, Transport: clock, Region: region(u, o.Getenv, strings.HasSuffix(at.Hostname(), ".amazonaws.com")),
		MaxRetries: 1, // we try again ourselves, longer
	})
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	client.SetAppInfo("openclaw-ir", "1")
	prefix := strings.TrimPrefix(cleanPath(u.Path), "/")
	if prefix != "" {
		prefix += "/"
	}
	return &bucket{client, clock, u.Host, prefix, o}, nil
}

// metadataWait bounds how long a cloud's own service is asked for credentials: on any other host nobody answers there.
const metadataWait = 3 * time.Second

// keysFor finds the credentials where S3 tools keep them: the environment, ~/.aws/credentials, ~/.mc/config.json, a cloud host's role.
// For root it is root's own file: one in another's home could name a program to run.
func keysFor(ctx context.Context, o Options) (*credentials.Credentials, error) {
	client := &http.Client{Timeout: metadataWait}
	aws, mc := &credentials.FileAWSCredentials{}, &credentials.FileMinioClient{Filename: o.home(".mc", "config.json")}
	if os.Getuid() == 0 && o.Getenv("AWS_SHARED_CREDENTIALS_FILE") == "" || o.Getenv("HOME") == "" {
		aws.Filename = o.home(".aws", "credentials")
	}
	keys := credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.EnvMinio{}, aws, mc, &credentials.IAM{Client: client},
	})
	value, err := keys.GetWithContext(&credentials.CredContext{Context: ctx, Client: client})
	if err != nil || value.AccessKeyID == "" {
		return nil, &Error{
			errors.New("no credentials for S3"),
			"put them into ~/.aws/credentials of the account that runs this, mode 0600, or into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
		}
	}
	return keys, nil
}

// clockTransport notes by how much this host's clock differs from the server's, which refuses requests signed with a wrong one.
type clockTransport struct {
	next *http.Transport
	skew atomic.Int64 // of the last answer, nanoseconds that we are ahead
}

func (t *clockTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ContentLength > bite {
		// A store that refuses ends the connection while we still send, and its answer is lost: have it say first whether to go on.
		r = r.Clone(r.Context())
		r.Header.Set("Expect", "100-continue")
	}
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		if date, derr := http.ParseTime(resp.Header.Get("Date")); derr == nil {
			t.skew.Store(int64(time.Since(date)))
		}
	}
	return resp, err
}

func (b *bucket) String() string { return "s3://" + b.name + "/" + b.prefix }

func (b *bucket) Close() error {
	b.clock.next.CloseIdleConnections()
	return nil
}

// List lists what lies under the prefix. It needs s3:ListBucket.
func (b *bucket) List(ctx context.Context) ([]Object, error) {
	var l listing
	token := ""
	for {
		page, err := b.page(ctx, token)
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", b, err)
		}
		if err := b.addPage(&l, page); err != nil {
			return nil, err
		}
		if !page.IsTruncated {
			return l.sorted(), nil
		}
		if page.NextContinuationToken == token || len(page.Contents)+len(page.CommonPrefixes) == 0 {
			return nil, fmt.Errorf("listing %s: the store says that there is more and does not go on", b)
		}
		token = page.NextContinuationToken
	}
}

// page asks for the next page of the listing. The library takes no context there.
func (b *bucket) page(ctx context.Context, token string) (page minio.ListBucketV2Result, err error) {
	type answer struct {
		page minio.ListBucketV2Result
		err  error
	}
	err = b.o.again(ctx, func(ctx context.Context, _ int) error {
		done := make(chan answer, 1)
		go func() {
			page, err := b.client.ListObjectsV2(b.name, b.prefix, "", token, "/", 1000)
			done <- answer{page, err}
		}()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-done:
			page = a.page
			return b.explain(a.err)
		}
	})
	return page, err
}

func (b *bucket) addPage(l *listing, page minio.ListBucketV2Result) error {
	for _, info := range page.Contents {
		name, under := strings.CutPrefix(info.Key, b.prefix)
		if name == "" {
			continue // the prefix itself, where somebody made a "folder"
		}
		o := Object{Name: name, Size: info.Size, Time: info.LastModified.UTC()}
		if !under {
			o.Problem = "it is not under the prefix"
		}
		if err := l.add(o); err != nil {
			return err
		}
	}
	for _, p := range page.CommonPrefixes {
		if err := l.add(Object{Name: strings.TrimPrefix(p.Prefix, b.prefix)}); err != nil {
			return err
		}
	}
	return nil
}

// Open opens an object. It needs s3:GetObject.
func (b *bucket) Open(ctx context.Context, name string) (Reader, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	info, err := b.stat(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	fetch := func(p []byte, off int64) error {
		return b.o.again(ctx, func(ctx context.Context, _ int) error { return b.fetch(ctx, name, info.ETag, p, off) })
	}
	return &blocks{size: info.Size, fetch: fetch, close: func() error { return nil }}, nil
}

func (b *bucket) stat(ctx context.Context, name string) (info minio.ObjectInfo, err error) {
	err = b.o.again(ctx, func(ctx context.Context, _ int) (err error) {
		info, err = b.client.StatObject(ctx, b.name, b.key(name), minio.StatObjectOptions{})
		return b.explain(err)
	})
	if err == nil && info.Size < 0 {
		err = errors.New("the store says that it has no size")
	}
	return info, err
}

// fetch reads a range of the very object that was opened.
func (b *bucket) fetch(ctx context.Context, name, etag string, p []byte, off int64) error {
	var o minio.GetObjectOptions
	if err := errors.Join(o.SetRange(off, off+int64(len(p))-1), o.SetMatchETag(etag)); err != nil {
		return final(err)
	}
	ctx, watched, stop := watch(ctx)
	defer stop()
	body, _, header, err := b.client.GetObject(ctx, b.name, b.key(name), o)
	if err != nil {
		return fmt.Errorf("reading %q: %w", name, b.explain(err))
	}
	defer body.Close()
	if want := fmt.Sprintf("bytes %d-%d/", off, off+int64(len(p))-1); !strings.HasPrefix(header.Get("Content-Range"), want) {
		return final(fmt.Errorf("reading %q: the store sends another range than it was asked for", name))
	}
	if _, err := io.ReadFull(watched(body), p); err != nil {
		return fmt.Errorf("reading %q: %s: %w", name, errLessTold, orStalled(ctx, err))
	}
	return nil
}

func (b *bucket) key(name string) string { return path.Join(b.prefix, name) }
