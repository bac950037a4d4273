// The same page by Go's net/http, in one process. usage: page ADDRESS THREADS
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"runtime"
	"strconv"
)

func main() {
	threads, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	runtime.GOMAXPROCS(threads)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "Hello %s %s\n", r.Method, r.URL.Path)
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
