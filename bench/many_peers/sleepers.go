// Goroutines that wait for a timer, and what they cost: lines `name value`, as many_guests prints them.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func usage() (resident, tables, mappings int64) {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			resident = n << 10
		case "VmPTE:":
			tables = n << 10
		}
	}
	maps, _ := os.Open("/proc/self/maps")
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		mappings++
	}
	return
}

func processor() int64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return used.Utime.Nano() + used.Stime.Nano()
}

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	resident, tables, mappings := usage()
	begin := processor()
	for i := 0; i < count; i++ {
		go func() { time.Sleep(24 * time.Hour) }()
	}
	time.Sleep(time.Second)
	spent := processor() - begin
	r, t, m := usage()
	fmt.Println("guests", count)
	fmt.Println("start_ns", spent/int64(count))
	fmt.Println("resident", r-resident)
	fmt.Println("page_tables", t-tables)
	fmt.Println("mappings", m-mappings)
}
