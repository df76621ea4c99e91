//! Databases of package managers as bytes: dpkg, apk, rpm (sqlite, ndb, Berkeley DB).
