//! The only SQL, objects and queue; embedded and scaled back ends behind one interface
