package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLogFileIsBounded writes more than all files may hold.
func TestLogFileIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := logFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.MaxSize = 1 // MB: the test need not fill the disk
	if logSize*(logFiles+1) > 500 {
		t.Errorf("logs may take %d MB", logSize*(logFiles+1))
	}
	line := bytes.Repeat([]byte("x"), 64<<10)
	for range 20 << 4 {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	size := func() (total int64, files []string) {
		files, err := filepath.Glob(filepath.Join(dir, "log", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if os.IsNotExist(err) {
				continue
			}
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("%s: %v", f, err)
			}
			total += info.Size()
		}
		return total, files
	}
	if total, files := size(); len(files) < 2 {
		t.Fatalf("%d bytes in %d files: nothing was rotated", total, len(files))
	}
	deadline := time.Now().Add(10 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C { // old files are removed beside the writing
		_, files := size()
		if len(files) <= logFiles+1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files are kept", len(files))
		}
	}
}
