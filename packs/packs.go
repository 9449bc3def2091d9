// Package packs has one file per country with what an operator or a regulator sets there: documents, prices, taxes and limits. User reads
// its documents from them. Wallet's rows come from migrations, which `go run ./packs/seed <country>` writes; a test of wallet proves that
// the rows of all migrations and the packs agree. Facts about countries are in kit/country.
package packs

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var files embed.FS

// Pack is a country's file.
type Pack struct {
	Country   string     `yaml:"country"` // ISO 3166-1
	Documents []Document `yaml:"documents"`
	Tariffs   []Tariff   `yaml:"tariffs"`
	Taxes     []Tax      `yaml:"taxes"`
	Limits    []Limit    `yaml:"limits"`
	LimitsAs  []LimitsAs `yaml:"limits_as"` // All has made limits of them
	Balances  []Balance  `yaml:"balances"`
}

// Document is a document that proves who somebody is.
type Document struct {
	Type                   string `yaml:"type"`
	Number                 string `yaml:"number"` // a regular expression
	Class                  string `yaml:"class"`  // documents of one class carry the same number
	LeadingZerosMeanNought bool   `yaml:"leading_zeros_mean_nothing"`
}

// Tariff prices one kind of payment in one currency; minor units.
type Tariff struct {
	ID             int32      `yaml:"id"` // unique over all packs
	Kind           string     `yaml:"kind"`
	Currency       string     `yaml:"currency"`
	ExciseIncluded bool       `yaml:"excise_included"`
	EffectiveFrom  time.Time  `yaml:"effective_from"`
	Bands          [][2]int64 `yaml:"bands"` // up to and including this amount, this fee; ascending
}

// Tax is a rate on fees, in parts per million.
type Tax struct {
	Tax           string    `yaml:"tax"`
	RatePPM       int64     `yaml:"rate_ppm"`
	EffectiveFrom time.Time `yaml:"effective_from"`
}

// Limit is what a tier may pay of one kind in one currency; minor units.
type Limit struct {
	Tier           int16     `yaml:"tier"`
	Kind           string    `yaml:"kind"`
	Currency       string    `yaml:"currency"`
	PerTransaction int64     `yaml:"per_transaction"`
	PerDay         int64     `yaml:"per_day"`
	PerMonth       int64     `yaml:"per_month"`
	EffectiveFrom  time.Time `yaml:"effective_from"`
}

// LimitsAs gives kinds the limits of another one.
type LimitsAs struct {
	Kinds []string `yaml:"kinds"`
	As    string   `yaml:"as"`
	// PerDay says that one payment may be as much as the day's.
	PerDay bool `yaml:"per_day"`
}

// spread makes limits of those that are as another kind's.
func (p *Pack) spread() {
	own := p.Limits
	for _, like := range p.LimitsAs {
		for _, kind := range like.Kinds {
			for _, l := range own {
				if l.Kind != like.As {
					continue
				}
				l.Kind = kind
				if like.PerDay {
					l.PerTransaction = l.PerDay
				}
				p.Limits = append(p.Limits, l)
			}
		}
	}
}

// Balance is the highest balance of a tier's wallet in one currency; minor units.
type Balance struct {
	Tier          int16     `yaml:"tier"`
	Currency      string    `yaml:"currency"`
	Maximum       int64     `yaml:"maximum"`
	EffectiveFrom time.Time `yaml:"effective_from"`
}

// All reads the packs, in the order of their countries.
func All() ([]Pack, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	packs := make([]Pack, len(names))
	for i, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		if err := decoder.Decode(&packs[i]); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if packs[i].Country+".yaml" != name {
			return nil, fmt.Errorf("pack %s is of %s", name, packs[i].Country)
		}
		packs[i].spread()
	}
	return packs, nil
}

// MustAll is All for packs that are part of the program: one that cannot be read is a broken program.
func MustAll() []Pack {
	packs, err := All()
	if err != nil {
		panic(err)
	}
	return packs
}
