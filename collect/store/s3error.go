package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// A refusal is what a store answers instead of doing what it was asked for.
type refusal struct{ code, message string }

func (r *refusal) Error() string {
	return fmt.Sprintf("the store says %.80q: %.300q", r.code, r.message)
}

// explain says what an answer of the store means and what to do, and whether it is of use to try again.
func (b *bucket) explain(err error) error {
	if err == nil {
		return nil
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return err // no answer: a cut connection
	}
	told := &refusal{answer.Code, answer.Message}
	switch hint := b.hint(answer); {
	case hint != "":
		return final(&Error{told, hint})
	case answer.Code == minio.NoSuchKey:
		return final(fmt.Errorf("%w: %w", fs.ErrNotExist, told))
	case answer.StatusCode == http.StatusNotImplemented:
		return final(told)
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout:
		return told
	}
	return final(told)
}

func (b *bucket) hint(answer minio.ErrorResponse) string {
	switch answer.Code {
	case "RequestTimeTooSkewed":
		return b.skewHint()
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken":
		return "the credentials are wrong or out of date: put the right ones into ~/.aws/credentials of the account that runs this"
	case "AccessDenied", "AllAccessDisabled":
		return "these credentials may not do that here: storing needs s3:PutObject on " + b.name + "/" + b.prefix + "*, and s3:PutObjectRetention with --lock-days"
	case "NoSuchBucket":
		return "make the bucket first, with versions and Object Lock; ?endpoint= names a store other than Amazon's"
	case "InvalidBucketState", "ObjectLockConfigurationNotFoundError", "InvalidRequest":
		if b.o.Lock.Days == 0 {
			return ""
		}
		return "Object Lock has to be on for the bucket, or leave --lock-days out"
	case "QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "XMinioAdminBucketQuotaExceeded":
		return "make room in the store or raise the quota, and upload again"
	case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch":
		return "what arrived is not what was sent, or the file changed meanwhile: verify it here, and upload again"
	}
	return ""
}

func (b *bucket) skewHint() string {
	skew := time.Duration(b.clock.skew.Load()).Round(time.Second)
	side := "ahead of"
	if skew < 0 {
		skew, side = -skew, "behind"
	}
	return fmt.Sprintf("the clock of this host is %s %s the store's: set it, and upload again; times in the evidence are as wrong", inWords(skew), side)
}

// inWords is a span as a person says it.
func inWords(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", d.Round(time.Minute)/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", d.Round(time.Hour)/time.Hour)
	}
	return fmt.Sprintf("%d days", d.Round(24*time.Hour)/(24*time.Hour))
}

// isCode reports whether an error is an answer of the store with a code.
func isCode(err error, code string) bool {
	var answer *refusal
	return errors.As(err, &answer) && answer.code == code
}
