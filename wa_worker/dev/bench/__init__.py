"""`wa-worker bench`: the running program, measured on the simulated WhatsApp and the reference proxy.

The worker is its own process, so its memory and CPU are its own; the simulator and the proxy share the bench's
process, and what they cost is reported apart. Times on a shared machine are noisy: compare ratios within one run.

bed.py        a world whose workers run one after another
measure.py    memory, CPU and threads of a process
scenarios.py  what is measured
media_in.py   files of received messages
media_out.py  files that are sent
bare_copy.py  a bare copy of the same bytes, to compare with
backlog.py    a journal with a hundred thousand messages
run.py        runs the scenarios and reports
"""
