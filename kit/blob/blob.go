// Package blob keeps files: in a folder, or in a bucket that is reached by the S3 protocol (gocloud.dev/blob). Names are made here,
// never by who uploads. There are two kinds of files. Those of people (Put, Get) are sealed: what lies in the store is noise, and the
// key to it, with the client's name for the file, its type, length and digest, is a sealed value for a column of the caller's row.
// Assets (PutAsset, GetAsset) are public: they lie as they are, under their digest, and parts of them can be read.
//
// The caller's row is the truth. A file whose row was never committed is an orphan, which Sweep deletes later; a file whose row was
// deleted can be read by nobody, because its key is gone with the row.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"

	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/seal"
)

// Settings say where a service keeps its files; a service that has some has them as a field of its Config.
type Settings struct {
	// where files are kept: `file:///folder`, which exists, or `s3://bucket?region=…&endpoint=…` (endpoint for another server than Amazon's)
	URL string `env:"SENDTIP_BLOB_URL" envDefault:"file:.sendtip/files" is:"required files"`
	// user of the S3 server; without one the role of the machine or the pod is used
	AccessKey string `env:"SENDTIP_BLOB_ACCESS_KEY" is:"with=SENDTIP_BLOB_SECRET_KEY"`
	// that user's secret
	SecretKey config.Secret `env:"SENDTIP_BLOB_SECRET_KEY" is:"with=SENDTIP_BLOB_ACCESS_KEY own"`
}

// Faults of files.
var (
	ErrTooLarge = fault.New(fault.TooLarge, "file_too_large", "The file is too large.")
	ErrType     = fault.New(fault.Unprocessable, "file_type_refused", "A file of this type is not accepted here.")
	ErrEmpty    = fault.New(fault.Unprocessable, "file_empty", "The file is empty.")
)

// ErrOpen says that a file is not what was put: changed, cut, another's, or under another key. It does not say which.
var ErrOpen = errors.New("blob: cannot open")

// Store holds the files of one service. It is safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
	sealer *seal.Sealer
	folder string           // of the file driver
	now    func() time.Time // the time of the machines that keep the files: a moved clock of the platform must not make them look old
}

// Open opens the store. Files of several services may share one folder or bucket: each sees those below its own name only.
func Open(ctx context.Context, cfg Settings, service string, sealer *seal.Sealer) (*Store, error) {
	if !word.MatchString(service) {
		return nil, fmt.Errorf("blob: %q is no name of a service", service)
	}
	where, err := config.ParseFileStore(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("SENDTIP_BLOB_URL: %w", err)
	}
	s := &Store{sealer: sealer, folder: where.Folder, now: time.Now}
	if where.Bucket != "" {
		s.bucket, err = openS3(ctx, where, cfg)
	} else {
		s.bucket, err = openFolder(where.Folder)
	}
	if err != nil {
		return nil, fmt.Errorf("open files: %w", err)
	}
	s.bucket = blob.PrefixedBucket(s.bucket, service+"/")
	return s, nil
}

// openFolder makes a relative folder only: where an absolute one is missing, a disk is not mounted, and the files would go to another.
func openFolder(folder string) (*blob.Bucket, error) {
	return fileblob.OpenBucket(folder, &fileblob.Options{
		CreateDir: !filepath.IsAbs(folder), DirFileMode: 0o700, Metadata: fileblob.MetadataDontWrite,
		NoTempDir: true, // a rename works within one disk
	})
}

func openS3(ctx context.Context, where config.FileStore, cfg Settings) (*blob.Bucket, error) {
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(where.Region)}
	if cfg.AccessKey != "" {
		options = append(options, awsconfig.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey.Reveal(), "")))
	}
	c, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	const ifRequired = aws.RequestChecksumCalculationWhenRequired
	client := s3.NewFromConfig(c, func(o *s3.Options) {
		if where.Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = &where.Endpoint, true
		}
		// Servers other than Amazon's refuse the checksums that the client would add; what is read is checked here anyway.
		o.RequestChecksumCalculation = ifRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	return s3blob.OpenBucket(ctx, client, where.Bucket, &s3blob.Options{RequestChecksumCalculation: ifRequired})
}

// Check answers nil when the store is there: for a service's readiness.
func (s *Store) Check(ctx context.Context) error {
	if s.folder != "" {
		_, err := os.Stat(s.folder)
		return err
	}
	there, err := s.bucket.IsAccessible(ctx)
	if err == nil && !there {
		err = errors.New("there is no such bucket")
	}
	return err
}

// Close ends the use of the store.
func (s *Store) Close() error { return s.bucket.Close() }

// Delete deletes a file. One that is gone already is no error.
func (s *Store) Delete(ctx context.Context, name string) error {
	if !ours(name) {
		return fault.ErrNotFound
	}
	return s.remove(ctx, name)
}

func (s *Store) remove(ctx context.Context, key string) error {
	if err := s.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete file: %w", err)
	}
	return nil
}

var (
	word      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	fileName  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	assetName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}/[0-9a-f]{64}$`)
	// remainder is what the file driver leaves of a put when the process dies.
	remainder = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}/[0-9a-f-]{36,64}\.[0-9a-f]+\.tmp$`)
)

// ours says whether a name was made here: no other reaches a driver.
func ours(name string) bool { return fileName.MatchString(name) || assetName.MatchString(name) }

// syncFolders makes the names of a new file and of the folders that were made for it last: the file driver renames without that.
func (s *Store) syncFolders(file string) error {
	root, err := filepath.Abs(s.folder)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(file); len(dir) >= len(root); dir = filepath.Dir(dir) {
		if err := syncFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- below the folder that the operator names
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}
