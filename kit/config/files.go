package config

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
)

// FileStore is what the address of a store of files says: a folder, or a bucket that is reached by the S3 protocol.
type FileStore struct {
	Folder string

	Bucket   string
	Region   string
	Endpoint string // of another server than Amazon's
}

// ParseFileStore reads `file:///an/absolute/folder`, `file:a/folder` (below the working folder) or
// `s3://bucket?region=…&endpoint=https://…`.
func ParseFileStore(text string) (FileStore, error) {
	bad := errors.New("no address of files")
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Fragment != "" {
		return FileStore{}, bad
	}
	switch u.Scheme {
	case "file":
		if folder := u.Opaque + u.Path; u.Host == "" && u.RawQuery == "" && strings.Trim(folder, "/.") != "" {
			return FileStore{Folder: filepath.Clean(folder)}, nil
		}
	case "s3":
		q, err := url.ParseQuery(u.RawQuery)
		f := FileStore{Bucket: u.Host, Region: q.Get("region"), Endpoint: q.Get("endpoint")}
		q.Del("region")
		q.Del("endpoint")
		if err == nil && len(q) == 0 && f.Bucket != "" && u.Path == "" && f.Region != "" && (f.Endpoint == "" || isURL(f.Endpoint)) {
			return f, nil
		}
	}
	return FileStore{}, bad
}

// live says whether production may use the store: a relative folder is wherever the process was started, and who hears the network
// could take and change files.
func (f FileStore) live() bool {
	return filepath.IsAbs(f.Folder) || f.Bucket != "" && (f.Endpoint == "" || strings.HasPrefix(f.Endpoint, "https://"))
}

func isFileStore(t string) bool {
	_, err := ParseFileStore(t)
	return err == nil
}
