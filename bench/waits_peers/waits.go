// Goroutines that each wait a millisecond again and again. usage: waits TASKS WAITS THREADS
package main

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

func main() {
	var number [3]int
	for i := range number {
		number[i], _ = strconv.Atoi(os.Args[i+1])
	}
	runtime.GOMAXPROCS(number[2])
	var all sync.WaitGroup
	for i := 0; i < number[0]; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := 0; j < number[1]; j++ {
				time.Sleep(time.Millisecond)
			}
		}()
	}
	all.Wait()
}
