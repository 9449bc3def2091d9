package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// MetadataJSON returns the canonical JSON of facts: keys sorted by their bytes, no white space.
func MetadataJSON(facts map[string]string) []byte {
	b := []byte{'{'}
	for i, k := range slices.Sorted(maps.Keys(facts)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, k)
		b = appendString(b, ":", facts[k])
	}
	return append(b, '}')
}

// MetadataHash is SHA-256(0x04 ‖ salt ‖ canonical JSON): all that a leaf knows of metadata, and nothing once the salt is erased.
func MetadataHash(salt [SaltSize]byte, facts map[string]string) Hash {
	return metadataHash(salt, MetadataJSON(facts))
}

func metadataHash(salt [SaltSize]byte, canonical []byte) Hash {
	b := append(make([]byte, 0, 1+SaltSize+len(canonical)), metadataPrefix)
	b = append(b, salt[:]...)
	return sha256.Sum256(append(b, canonical...))
}

func parseMetadata(canonical []byte) (map[string]string, error) {
	var facts map[string]string
	if err := json.Unmarshal(canonical, &facts); err != nil {
		return nil, fmt.Errorf("%w: it is no JSON object of strings", ErrMetadata)
	}
	if !bytes.Equal(MetadataJSON(facts), canonical) {
		return nil, fmt.Errorf("%w: its JSON is not canonical", ErrMetadata)
	}
	return facts, nil
}
