#!/usr/bin/env python3
"""Reads a profile strictly, as its consumers would have to, and prints a line: samples, seconds, and the function with the
most time of its own.

    check_profile.py folded|pprof|speedscope|trace FILE
"""
import collections
import json
import sys


def refuse(text):
    sys.exit(f"check_profile: {text}")


def folded(text):
    """A line is FRAME;FRAME;... MICROSECONDS. Names may hold blanks."""
    own = collections.Counter()
    for number, line in enumerate(text.splitlines(), 1):
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit() or int(count) == 0:
            refuse(f"line {number} is no stack and count: {line!r}")
        frames = stack.split(";")
        if not all(frames):
            refuse(f"line {number} has an empty frame")
        own[frames[-1]] += int(count) * 1000
    return len(text.splitlines()), own


def fields(data):
    """The fields of a message: (number, wire type, value)."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                refuse("a number is cut short")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            size = varint()
            if at + size > len(data):
                refuse("a message is cut short")
            yield key >> 3, data[at : at + size]
            at += size
        else:
            refuse(f"wire type {key & 7} in field {key >> 3}")


def packed(data):
    out, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            out.append(value)
            value = shift = 0
    if shift:
        refuse("packed numbers are cut short")
    return out


def pprof(data):
    known = {1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 14}
    top = collections.defaultdict(list)
    for number, value in fields(data):
        if number not in known:
            refuse(f"field {number} of the profile")
        top[number].append(value)
    strings = [value.decode("utf-8") for value in top[6]]
    if not strings or strings[0] != "":
        refuse("the first string is not empty")
    types = [[strings[v] for _, v in fields(t)] for t in top[1]]
    if types != [["samples", "count"], ["cpu", "nanoseconds"]]:
        refuse(f"sample types {types}")
    functions = {}
    for message in top[5]:
        f = dict(fields(message))
        functions[f[1]] = strings[f[2]]
    mappings = {dict(fields(m))[1] for m in top[3]}
    locations = {}
    for message in top[4]:
        f = dict(fields(message))
        if f.get(2) is not None and f[2] not in mappings:
            refuse("a location in no mapping")
        locations[f[1]] = functions[dict(fields(f[4]))[1]]
    own, samples = collections.Counter(), 0
    for message in top[2]:
        f = dict(fields(message))
        stack, values = packed(f[1]), packed(f[2])
        if len(values) != 2 or not stack:
            refuse("a sample without a stack or with other values than two")
        label = dict(fields(f[3]))
        if strings[label[1]] != "tier" or strings[label[2]] not in ("interp", "baseline", "opt", "host", "cut"):
            refuse("a sample of no tier")
        samples += values[0]
        own[locations[stack[0]]] += values[1]
    return samples, own


def only(value, allowed, where):
    extra = set(value) - set(allowed)
    if extra:
        refuse(f"{where} has {sorted(extra)}")


def speedscope(text):
    """https://www.speedscope.app/file-format-schema.json, of which we use sampled profiles."""
    file = json.loads(text)
    only(file, ["$schema", "exporter", "name", "activeProfileIndex", "shared", "profiles"], "the file")
    if file["$schema"] != "https://www.speedscope.app/file-format-schema.json":
        refuse("another schema")
    frames = file["shared"]["frames"]
    for frame in frames:
        only(frame, ["name", "file", "line", "col"], "a frame")
        if not isinstance(frame["name"], str):
            refuse("a frame without a name")
    own = collections.Counter()
    for number, profile in enumerate(file["profiles"]):
        only(profile, ["type", "name", "unit", "startValue", "endValue", "samples", "weights"], "a profile")
        if profile["type"] != "sampled" or profile["unit"] != "nanoseconds":
            refuse("another kind of profile")
        if len(profile["samples"]) != len(profile["weights"]):
            refuse("as many weights as samples are needed")
        if profile["endValue"] - profile["startValue"] != sum(profile["weights"]):
            refuse("the weights do not add up")
        for stack, weight in zip(profile["samples"], profile["weights"]):
            if any(not 0 <= f < len(frames) for f in stack):
                refuse("a stack of frames that are not there")
            if number == 0:
                own[frames[stack[-1]]["name"]] += weight
    return len(file["profiles"][0]["samples"]), own


def trace(text):
    """Events of whole microseconds, callers first, that nest in a thread."""
    file = json.loads(text)
    only(file, ["displayTimeUnit", "traceEvents"], "the file")
    own, count = collections.Counter(), 0
    open_events, named, last = collections.defaultdict(list), set(), collections.defaultdict(int)
    for event in file["traceEvents"]:
        thread = event["tid"]
        if event["pid"] != 1:
            refuse("an event of another process")
        if event["ph"] == "M":
            only(event, ["ph", "pid", "tid", "ts", "name", "args"], "a name")
            if event["name"] not in ("process_name", "thread_name") or not event["args"]["name"]:
                refuse("a thread without a name")
            if event["name"] == "thread_name":
                named.add(thread)
            continue
        if event["ph"] != "X":
            refuse(f"an event of kind {event['ph']}")
        only(event, ["ph", "pid", "tid", "cat", "ts", "dur", "name", "args"], "an event")
        only(event["args"], ["tier", "offset", "file", "line"], "an event's arguments")
        begin, length = event["ts"], event["dur"]
        if type(begin) is not int or type(length) is not int or length < 0:
            refuse("a time that is no count of microseconds")
        if thread not in named:
            refuse("an event of a thread that was not named")
        if begin < last[thread]:
            refuse("events are not in order")
        last[thread] = begin
        callers = open_events[thread]
        while callers and callers[-1][1] <= begin:
            callers.pop()
        if callers and begin + length > callers[-1][1]:
            refuse("an event ends after its caller")
        if callers:
            own[callers[-1][0]] -= length * 1000
        own[event["name"]] += length * 1000
        callers.append((event["name"], begin + length))
        count += 1
    return count, own


def main():
    readers = {"folded": folded, "pprof": pprof, "speedscope": speedscope, "trace": trace}
    kind, path = sys.argv[1:]
    with open(path, "rb") as file:
        data = file.read()
    count, own = readers[kind](data if kind == "pprof" else data.decode("utf-8"))
    hottest, time = max(own.items(), key=lambda item: item[1], default=("nothing", 0))
    print(count, f"{sum(own.values()) / 1e9:.3f}", hottest)


main()
