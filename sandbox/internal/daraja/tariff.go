package daraja

import "time"

// band is what payments of up to so many shillings cost.
type band struct{ upTo, charge int64 }

// tariff holds from a day on; charges change by notice, so they are dated data.
type tariff struct {
	from  time.Time
	bands []band
}

// b2cTariffs is what the organisation pays for payments to registered customers, oldest first (Safaricom's bulk payment tariff form). The
// form ends at 150,000; the limit has been raised since, and the last band with it.
var b2cTariffs = []tariff{
	{from: time.Date(2023, 8, 1, 0, 0, 0, 0, eat), bands: []band{{100, 0}, {1_500, 5}, {5_000, 9}, {20_000, 11}, {250_000, 13}}},
}

// b2cCharge is the charge for a payment in KES minor units. Before the first tariff the first one holds.
func b2cCharge(at time.Time, shillings int64) int64 {
	now := b2cTariffs[0]
	for _, t := range b2cTariffs {
		if !at.Before(t.from) {
			now = t
		}
	}
	for _, b := range now.bands {
		if shillings <= b.upTo {
			return b.charge * 100
		}
	}
	return now.bands[len(now.bands)-1].charge * 100
}
