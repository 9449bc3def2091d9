package blob

import "gocloud.dev/blob"

// Bucket is what lies under the service's name, as a thief sees and changes it.
func (s *Store) Bucket() *blob.Bucket { return s.bucket }

// Batch is how many names a sweep asks about at a time.
const Batch = batch
