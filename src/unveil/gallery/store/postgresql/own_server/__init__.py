"""An own PostgreSQL with pgvector under the folder of the galleries, for when no server is named.

The first process starts it, others attach to it; it stops when the last of them has left, however that one ended. It
listens on a socket in a folder that only its user can enter, on no network port.
"""

from unveil.gallery.store.postgresql.own_server.start import default_folder, start, stop

__all__ = ["default_folder", "start", "stop"]
