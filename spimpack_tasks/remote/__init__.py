"""Object stores: their addresses, credentials, objects and leases.

The client library (obstore) runs threads of its own, which do not survive a fork, and Luigi forks.
So it is only used in a process that `isolated.run_isolated` has forked for that.
"""
