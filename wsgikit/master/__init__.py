"""Processes: listeners, forking, signals, respawn, reload, worker groups.

A master opens the listeners, forks workers for each group of apps, and replaces, reloads and ends them. It knows no
HTTP, no app and no command line: a `Plan` (see `plan`) tells it what to load and start after the fork.

    master      what signals mean, reload, the life of the whole
    preloader   a child that loads an app once and has the workers of one group
    supervisor  the loop that both of them are
    generation  a plan with its open listeners and its fleets; a reload makes the next one
    fleet       the rules by which workers come and go
    child, serving   what happens in a worker process before and while it serves
"""
