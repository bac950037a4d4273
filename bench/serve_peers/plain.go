// The same page by plain reads and writes of Go, a goroutine for each connection: what its net/http adds to is seen beside it.
// usage: plain ADDRESS THREADS
package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"strconv"
)

func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 4096)
	have := 0
	for {
		n, err := connection.Read(buffer[have:])
		if n == 0 || err != nil {
			return
		}
		have += n
		for {
			end := bytes.Index(buffer[:have], []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			line := bytes.Fields(buffer[:bytes.IndexByte(buffer, '\r')])
			if len(line) != 3 {
				return
			}
			body := fmt.Sprintf("Hello %s %s\n", line[0], line[1])
			answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			if _, err := connection.Write([]byte(answer)); err != nil {
				return
			}
			have = copy(buffer, buffer[end+4:have])
		}
	}
}

func main() {
	threads, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	runtime.GOMAXPROCS(threads)
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection)
	}
}
