// The rows of bench/sched_bench.cpp in Go, by the same names: what its scheduler's steps cost. Prints nanoseconds of real
// time and of processor time an operation. Usage: go run . [-filter REGEXP]
package main

import (
	"flag"
	"fmt"
	"regexp"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// row runs body with growing n until it takes half a second; each n counts for `items` operations.
func row(filter *regexp.Regexp, name string, workers, items int, body func(n int)) {
	full := fmt.Sprintf("%s/workers:%d", name, workers)
	if !filter.MatchString(full) {
		return
	}
	runtime.GOMAXPROCS(workers)
	for n := 1; ; n *= 4 {
		cpu, start := processorTime(), time.Now()
		body(n)
		real, used := time.Since(start), processorTime()-cpu
		if real > 500*time.Millisecond || n > 1<<28 {
			ops := float64(n) * float64(items)
			fmt.Printf("%-40s %12.1f ns %12.1f ns CPU\n", full, float64(real)/ops, float64(used)/ops)
			return
		}
	}
}

func yieldPair(n int) {
	var stop atomic.Bool
	var ended sync.WaitGroup
	ended.Add(1)
	go func() {
		for !stop.Load() {
			runtime.Gosched()
		}
		ended.Done()
	}()
	for i := 0; i < n; i++ {
		runtime.Gosched()
	}
	stop.Store(true)
	ended.Wait()
}

func yieldAlone(n int) {
	for i := 0; i < n; i++ {
		runtime.Gosched()
	}
}

func spawnJoin(n int) {
	done := make(chan struct{})
	for i := 0; i < n; i++ {
		go func() { done <- struct{}{} }()
		<-done
	}
}

func spawn1000(n int) {
	for i := 0; i < n; i++ {
		var group sync.WaitGroup
		group.Add(1000)
		for k := 0; k < 1000; k++ {
			go group.Done()
		}
		group.Wait()
	}
}

// Go has no park: two unbuffered channels are its way to wake each other in turns.
func parkUnpark(n int) {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for v := range ping {
			pong <- v
		}
	}()
	for i := 0; i < n; i++ {
		ping <- i
		<-pong
	}
	close(ping)
}

func mutexUncontended(n int) {
	var mutex sync.Mutex
	for i := 0; i < n; i++ {
		mutex.Lock()
		mutex.Unlock()
	}
}

func mutexContended(n int) {
	var mutex sync.Mutex
	var group sync.WaitGroup
	shared := 0
	for t := 0; t < 4; t++ {
		group.Add(1)
		go func() {
			for i := 0; i < n; i++ {
				mutex.Lock()
				shared++
				mutex.Unlock()
			}
			group.Done()
		}()
	}
	group.Wait()
}

func conditionHandOver(n int) {
	var mutex sync.Mutex
	changed := sync.NewCond(&mutex)
	turn := 0
	var ended sync.WaitGroup
	ended.Add(1)
	go func() {
		mutex.Lock()
		for i := 0; i < n; i++ {
			for turn != 1 {
				changed.Wait()
			}
			turn = 0
			changed.Signal()
		}
		mutex.Unlock()
		ended.Done()
	}()
	mutex.Lock()
	for i := 0; i < n; i++ {
		turn = 1
		changed.Signal()
		for turn != 0 {
			changed.Wait()
		}
	}
	mutex.Unlock()
	ended.Wait()
}

func channel(capacity int) func(n int) {
	return func(n int) {
		values := make(chan int, capacity)
		go func() {
			for i := 0; i < n; i++ {
				values <- i
			}
			close(values)
		}()
		for range values {
		}
	}
}

func waitGroup(n int) {
	for i := 0; i < n; i++ {
		var group sync.WaitGroup
		group.Add(10)
		for k := 0; k < 10; k++ {
			go group.Done()
		}
		group.Wait()
	}
}

// How late sleepers of 1 ms wake, alone and beside tasks that compute.
func lateness(filter *regexp.Regexp, name string, workers, busy int) {
	full := fmt.Sprintf("%s/workers:%d", name, workers)
	if !filter.MatchString(full) {
		return
	}
	runtime.GOMAXPROCS(workers)
	var stop atomic.Bool
	for i := 0; i < busy; i++ {
		go func() {
			for !stop.Load() {
			}
		}()
	}
	var late []time.Duration
	for i := 0; i < 200; i++ {
		until := time.Now().Add(time.Millisecond)
		time.Sleep(time.Until(until))
		late = append(late, time.Since(until))
	}
	stop.Store(true)
	sort.Slice(late, func(a, b int) bool { return late[a] < late[b] })
	us := func(d time.Duration) float64 { return float64(d) / 1000 }
	fmt.Printf("%-40s p50 %10.1f us   p99 %10.1f us late\n", full, us(late[len(late)/2]), us(late[len(late)*99/100]))
}

func main() {
	pattern := flag.String("filter", ".", "rows to run")
	flag.Parse()
	filter := regexp.MustCompile(*pattern)
	fmt.Println(runtime.Version())
	row(filter, "yield_pair", 1, 2, yieldPair)
	row(filter, "yield_alone", 1, 1, yieldAlone)
	for _, workers := range []int{1, 2} {
		row(filter, "spawn_join", workers, 1, spawnJoin)
		row(filter, "spawn_1000_join_all", workers, 1000, spawn1000)
		row(filter, "park_unpark", workers, 2, parkUnpark)
		row(filter, "mutex_contended", workers, 4, mutexContended)
		row(filter, "condition_hand_over", workers, 2, conditionHandOver)
		row(filter, "channel_unbuffered", workers, 1, channel(0))
		row(filter, "channel_buffered", workers, 1, channel(64))
		row(filter, "wait_group_of_10", workers, 10, waitGroup)
	}
	row(filter, "mutex_uncontended", 1, 1, mutexUncontended)
	lateness(filter, "sleep_1ms_idle", 2, 0)
	lateness(filter, "sleep_1ms_busy", 2, 8)
}
