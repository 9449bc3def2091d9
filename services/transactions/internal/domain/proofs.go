package domain

import "github.com/sendtip/sendtip/kit/fault"

// Faults of the operations on proofs.
var (
	ErrSizeBeyondCheckpoint = fault.New(fault.Unprocessable, "size_beyond_checkpoint", "No signed checkpoint covers a tree of that size.")
	ErrIndexBeyondSize      = fault.New(fault.Unprocessable, "index_beyond_size", "A tree of that size has no such leaf.")
	ErrSizesReversed        = fault.New(fault.Unprocessable, "sizes_reversed", "The second tree is smaller than the first.")
)
