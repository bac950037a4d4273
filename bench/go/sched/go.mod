module sched

go 1.21
