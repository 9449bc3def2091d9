// Command storm lets customers pay over the rails while M-Pesa misbehaves and services are killed; then a judge compares both sides:
//
//	go run ./test/storm -payments 5000 -seed 7
//
// Its last line is `storm: N payments, N resolved, 0 lost, 0 doubled, 0 differing`; anything else than zeros, or a payment without an end,
// is exit code 1.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	o := options{}
	flag.IntVar(&o.payments, "payments", 5000, "how many payments, half of them top-ups and half withdrawals")
	flag.IntVar(&o.customers, "customers", 40, "how many customers make them")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the misbehaviour")
	flag.DurationVar(&o.killEvery, "kill", 10*time.Second, "between two kills; 0: none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	v, err := run(ctx, o, func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
	for _, line := range v.faults {
		fmt.Println(line)
	}
	fmt.Println(v)
	if !v.good() {
		os.Exit(1)
	}
}
